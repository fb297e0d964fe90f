/** One at a time: hooks of several containers and programs that make networks share files, and iptables' chains. */
import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '../../sys/index.js';
import { codeOf, precondition } from './failure.js';
import { removeEmpty } from './state.js';

/** More than any queue of starts takes: whoever has it for longer is stuck, for each plugin has a limit of its own. */
const PATIENCE_MS = 300_000;
const POLL_MS = 10;

/**
 * Does the work while nobody else does any with this directory of states. The kernel gives the lock back however the holder ends; the file,
 * and the directory when it is empty, go with it.
 */
export async function withLock<T>(stateDir: string, work: () => Promise<T> | T): Promise<T> {
  const path = join(stateDir, 'lock');
  const fd = await take(stateDir, path);
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
    closeSync(fd);
    removeEmpty(stateDir);
  }
}

async function take(stateDir: string, path: string): Promise<number> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(POLL_MS)) {
    mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    const fd = open(path);
    if (fd === undefined) continue;
    // The one who had it has removed the file, and a later one may have made another.
    if (tryLock(fd) && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
    closeSync(fd);
    if (Date.now() > deadline)
      throw precondition(`${path} is held by another process for more than ${PATIENCE_MS / 1000} s (\`lsof ${path}\`)`);
  }
}

/** Undefined when the directory has just been removed. */
function open(path: string): number | undefined {
  try {
    return openSync(path, 'a+', 0o600);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
