/** Which process something belongs to, in a word that others can judge by whether it is still there. */
import { readFileSync, readlinkSync } from 'node:fs';
import { startOf } from '../process-start.js';

/** This boot of the machine, the namespace of process ids, the id in it, and when the process began. */
export function thisProcess(): string {
  return [boot(), namespace(), process.pid, startOf(process.pid)].join(' ');
}

/** Whether that process has ended, as far as it can be seen from here: those of other namespaces of process ids cannot. */
export function isGone(owner: string): boolean {
  const [ownersBoot, ownersNamespace, pid, start] = owner.split(' ');
  if (ownersBoot !== boot()) return true;
  return ownersNamespace === namespace() && startOf(Number(pid)) !== start;
}

function boot(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function namespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}
