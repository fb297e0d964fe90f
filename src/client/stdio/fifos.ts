/** Directories with the FIFOs of one process each. Their names say whose they are, as whoever made one may be killed at any time. */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFifo } from '../../sys/index.js';
import { sha256 } from '../../text/sha256.js';
import { startOf } from '../process-start.js';

export type StreamName = 'stdin' | 'stdout' | 'stderr';

const PREFIX = 'io-';
/** `io-SCOPE-CONTAINER-KIND-PID-START-RANDOM`: hashes, `i` for a container's first process and `e` for an exec, and who made it. */
const NAME = /^io-([0-9a-f]{8})-([0-9a-f]{12})-([ie])-(\d+)-(\d+)-/;

/** Whose FIFOs are meant. */
export interface FifoOwner {
  /** Of the daemon and the namespace: {@link scopeOf}. */
  readonly scope: string;
  readonly container: string;
  readonly exec: boolean;
}

/** A daemon's namespace, among others that use the same directory. */
export function scopeOf(address: string, namespace: string): string {
  return hash(`${address}\0${namespace}`, 8);
}

/**
 * Makes a directory that only its owner may enter, with a FIFO for each name.
 *
 * @returns their paths by name
 */
export function makeFifos(
  parent: string,
  { scope, container, exec }: FifoOwner,
  id: string,
  names: readonly StreamName[],
): Partial<Record<StreamName, string>> {
  if (names.length === 0) return {};
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const dir = mkdtempSync(
    join(
      parent,
      `${PREFIX}${scope}-${hash(container, 12)}-${exec ? 'e' : 'i'}-${process.pid}-${startOf(process.pid) ?? '0'}-`,
    ),
  );
  try {
    return Object.fromEntries(
      names.map((name) => {
        const path = join(dir, `${id}-${name}`);
        makeFifo(path, 0o600);
        return [name, path];
      }),
    );
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Directories that nobody needs once a container's task is no more: of its execs, and of those who are dead. Another process that is just
 * starting the container again keeps what it has made.
 */
export function fifosOf(parent: string, { scope, container }: Omit<FifoOwner, 'exec'>): string[] {
  const wanted = hash(container, 12);
  return named(parent)
    .filter((one) => one.scope === scope && one.container === wanted && (one.exec || !one.alive()))
    .map(({ path }) => path);
}

/** Directories that a dead process has left, of containers of this scope that are none of these. */
export async function abandonedFifos(
  parent: string,
  scope: string,
  containers: () => Promise<readonly string[]>,
): Promise<string[]> {
  const dead = named(parent).filter((one) => one.scope === scope && !one.alive());
  if (dead.length === 0) return [];
  const known = new Set((await containers()).map((id) => hash(id, 12)));
  return dead.filter(({ container }) => !known.has(container)).map(({ path }) => path);
}

/** Removes directories that {@link fifosOf} or {@link abandonedFifos} has given. */
export function removeDirectories(dirs: readonly string[]): void {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
}

function named(
  parent: string,
): { path: string; scope: string; container: string; exec: boolean; alive: () => boolean }[] {
  let names: string[];
  try {
    names = readdirSync(parent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.flatMap((name) => {
    const [, scope, container, kind, pid, start] = NAME.exec(name) ?? [];
    if (scope === undefined || container === undefined) return [];
    return [
      { path: join(parent, name), scope, container, exec: kind === 'e', alive: () => startOf(Number(pid)) === start },
    ];
  });
}

function hash(text: string, digits: number): string {
  return sha256(text).slice(0, digits);
}

/** Removes the directories of FIFOs that {@link makeFifos} has made, by their paths; leaves what it has not made. */
export function removeFifos(parent: string, paths: readonly string[]): void {
  for (const dir of new Set(paths.filter((path) => path.startsWith('/')).map((path) => dirname(path)))) {
    if (dirname(dir) === parent && basename(dir).startsWith(PREFIX)) rmSync(dir, { recursive: true, force: true });
  }
}

export function isFifo(path: string): boolean {
  return path.startsWith('/') && lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true;
}
