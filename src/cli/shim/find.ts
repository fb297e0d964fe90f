/** A container's shim: the process, its bundle, and the socket that it answers questions on. */
import { readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { servedAt } from '../../oci/bundle.js';
import { unlessGone } from '../../sys/error.js';
import { isOwnProgram } from '../../sys/own-program.js';
import { tryRead } from '../host/read.js';

/** The shim of a container, found by its command line: every shim is told its namespace and container by flags. */
export function findShim(namespace: string, id: string, daemonAddress: string): number | undefined {
  const candidates: { pid: number; words: string[] }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = tryRead(`/proc/${name}/cmdline`)?.split('\0') ?? [];
    const flag = (flagName: string): string | undefined => words[words.indexOf(`-${flagName}`) + 1];
    if (words.includes('-id') && flag('id') === id && flag('namespace') === namespace)
      candidates.push({ pid: Number(name), words });
  }
  // Another daemon may have a container of the same name.
  return (candidates.find(({ words }) => words.includes(daemonAddress)) ?? candidates[0])?.pid;
}

/** Whether a shim is Hawser's, by its program; one that runs on Node is an author's. */
export function isHawsers(pid: number): boolean {
  const exe = `/proc/${pid}/exe`;
  if (!basename(readlink(exe) ?? '').startsWith('containerd-shim-')) return true;
  // It has ended, or is another user's.
  return unlessGone(() => isOwnProgram(exe)) ?? false;
}

/** A shim works in its bundle, which names its socket. */
export function shimSocket(pid: number): string | undefined {
  const bundle = readlink(`/proc/${pid}/cwd`);
  if (bundle === undefined) return undefined;
  const address = servedAt(bundle);
  return address?.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
}

function readlink(path: string): string | undefined {
  return unlessGone(() => readlinkSync(path));
}
