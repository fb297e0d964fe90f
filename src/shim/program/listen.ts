/** Listening where the daemon will look for us, or finding that another shim already does (contract §1.7). */
import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeFile } from '../../oci/bundle.js';
import { listenUnix, tryLock } from '../../sys/index.js';

/** How long a shim that lives may take to accept, on a host that has other things to do. */
const PROBE_MS = 2_000;
/** How long the removal of a dead socket by somebody else may take. */
const LOCK_MS = 10_000;

/** A listening descriptor, and which file its path was when it was bound. */
export interface Bound {
  readonly fd: number;
  readonly ino: number;
  readonly dev: number;
}

/** See {@link Acceptor} for who connects. */
export interface Listening extends Bound {
  readonly path: string;
  /** Removes the socket file, unless somebody else has made a new one there. */
  unlink(): void;
}

/** A listening socket at the path, or `taken` when a living shim has it. A dead shim's leftover is replaced. */
export async function listenAt(path: string): Promise<Listening | 'taken'> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const free = tryListen(path);
  if (free) return free;
  if ((await probe(path)) === 'served') return 'taken';
  // Who removes a dead socket must be sure that it is still that one: between a look and a removal another may have
  // taken its place. So one at a time looks and removes.
  return withLock(path, async () => {
    const state = await probe(path);
    if (state === 'served') return 'taken';
    if (state === 'dead') removeFile(path);
    const listening = tryListen(path);
    if (listening) return listening;
    // Somebody who found no socket at all was faster.
    if ((await probe(path)) === 'served') return 'taken';
    throw new Error(`socket ${path} is in use, but nobody answers there`);
  });
}

/** Removes what a dead shim left, under the same lock; a living shim's socket, or none, is left as it is. */
export async function removeDeadSocket(path: string): Promise<void> {
  if ((await probe(path)) !== 'dead') return;
  await withLock(path, async () => {
    if ((await probe(path)) === 'dead') removeFile(path);
  });
}

function tryListen(path: string): Listening | undefined {
  try {
    return listen(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
}

/**
 * Runs alone among all processes that would remove a dead socket at this path. The lock is a file beside it, in a directory
 * that is root's alone; the kernel takes it back when its holder ends, however that does. It is there only meanwhile.
 */
async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const file = `${path}.lock`;
  let lock: number | undefined;
  for (const deadline = Date.now() + LOCK_MS; (lock = lockFile(file)) === undefined; await delay(5)) {
    if (Date.now() > deadline)
      throw new Error(`another process has been holding the lock on ${file} for ${LOCK_MS / 1000} s`);
  }
  try {
    return await work();
  } finally {
    // Who waits for it holds a file that is no more, and begins again.
    removeFile(file);
    closeSync(lock);
  }
}

function lockFile(file: string): number | undefined {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (tryLock(fd) && statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
  closeSync(fd);
  return undefined;
}

function listen(path: string): Listening {
  const before = process.umask(0o177);
  let fd: number;
  try {
    // Not by Node: its server would remove the path when it closes, whoever has it by then.
    fd = listenUnix(path);
  } finally {
    process.umask(before);
  }
  return adopt(fd, path);
}

/** Where somebody has bound and listens already: a part of us, or the launcher before Node was there. */
export function adopt(fd: number, path: string, file: Omit<Bound, 'fd'> = statSync(path)): Listening {
  const { ino, dev } = file;
  return { fd, ino, dev, path, unlink: () => unlinkIf(path, { ino, dev }) };
}

function unlinkIf(path: string, { ino, dev }: Omit<Bound, 'fd'>): void {
  const now = statSync(path, { throwIfNoEntry: false });
  if (now?.ino === ino && now.dev === dev) removeFile(path);
}

/**
 * Whether somebody listens at a socket. Only a refused connection proves that nobody does any more; a slow answer proves
 * nothing, so such a socket is left alone.
 */
function probe(path: string): Promise<'served' | 'dead' | 'missing'> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (state: 'served' | 'dead' | 'missing'): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(state);
    };
    const timer = setTimeout(settle, PROBE_MS, 'served');
    socket.once('connect', () => settle('served'));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code === 'ECONNREFUSED' ? 'dead' : code === 'ENOENT' ? 'missing' : 'served'),
    );
  });
}
