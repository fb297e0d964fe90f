/** A container's shim: the process, its bundle, and the socket that it answers questions on. */
import { readdirSync, readlinkSync } from 'node:fs';
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

/** Whether a shim is Hawser's, which runs on Node; another is its own program. */
export function isHawsers(pid: number): boolean {
  return !basename(readlink(`/proc/${pid}/exe`) ?? '').startsWith('containerd-shim-');
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
