import { readFileSync } from 'node:fs';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { SpecProcess } from './types.js';

/** In the order of their numbers (capabilities(7)). */
const ALL = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** All that can be given: a process cannot have what the one that starts it lacks, and the daemon is taken to have what this one has. */
export function allCapabilities(): string[] {
  const bound = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
  return ALL.filter((_, number) => (bound >> BigInt(number)) & 1n);
}

/** Adds and drops capabilities in the three sets that a process has them by. */
export function changeCapabilities(process: SpecProcess, add: readonly string[], drop: readonly string[]): void {
  if (add.length === 0 && drop.length === 0) return;
  const has = new Set(process.capabilities?.bounding);
  for (const name of drop.flatMap(named)) has.delete(name);
  for (const name of add.flatMap(named)) has.add(name);
  const list = [...has];
  process.capabilities = { ...process.capabilities, bounding: list, effective: [...list], permitted: [...list] };
}

function named(word: string): string[] {
  const upper = word.toUpperCase();
  if (upper === 'ALL') return allCapabilities();
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!ALL.includes(name))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `capability ${JSON.stringify(word)} is none that Linux has: invalid argument`,
    );
  return [name];
}
