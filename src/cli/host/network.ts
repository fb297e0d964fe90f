/** Bytes over a process's network, of all its interfaces but the loopback. */
import { readFileSync, readlinkSync } from 'node:fs';

export interface Traffic {
  readonly received: number;
  readonly sent: number;
}

/** Undefined for a process with the host's network, whose figures are not its own, and for one that is gone. */
export function trafficOf(pid: number): Traffic | undefined {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net')) return undefined;
    let [received, sent] = [0, 0];
    for (const line of readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n').slice(2)) {
      const [name = '', figures] = line.split(':');
      if (figures === undefined || name.trim() === 'lo') continue;
      const numbers = figures.trim().split(/\s+/).map(Number);
      received += numbers[0] ?? 0;
      sent += numbers[8] ?? 0;
    }
    return { received, sent };
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
