/** A container's shim: the process, its bundle, and the socket that it answers questions on. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
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

/** What stands in Hawser's program, before the place of its library (src/monitor/launcher.h). */
const MARK = "hawser's library: ";

/** Whether a shim is Hawser's, by its program; one that runs on Node is an author's. */
export function isHawsers(pid: number): boolean {
  const exe = `/proc/${pid}/exe`;
  if (!basename(readlink(exe) ?? '').startsWith('containerd-shim-')) return true;
  try {
    return readFileSync(exe).includes(MARK);
  } catch (error) {
    // It has ended, or is another user's.
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

/** A shim works in its bundle, which names its socket; containerd 2.x and earlier ones have it in different files. */
export function shimSocket(pid: number): string | undefined {
  const bundle = readlink(`/proc/${pid}/cwd`);
  if (bundle === undefined) return undefined;
  const address = tryRead(join(bundle, 'address'))?.trim() ?? addressIn(tryRead(join(bundle, 'bootstrap.json')));
  return address?.startsWith('unix://') ? address.slice('unix://'.length) : undefined;
}

function addressIn(bootstrap: string | undefined): string | undefined {
  if (bootstrap === undefined) return undefined;
  const { address } = JSON.parse(bootstrap) as { address?: unknown };
  return typeof address === 'string' ? address : undefined;
}

function readlink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
