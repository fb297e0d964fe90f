/** One at a time: hooks of several containers and programs that make networks share files, and iptables' chains. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '../../sys/index.js';
import { precondition } from './failure.js';

/** More than any queue of starts takes: whoever has it for longer is stuck, for each plugin has a limit of its own. */
const PATIENCE_MS = 300_000;
const POLL_MS = 10;

/** Does the work while nobody else does any with this directory of states. The kernel gives the lock back however the holder ends. */
export async function withLock<T>(stateDir: string, work: () => Promise<T> | T): Promise<T> {
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
  const path = join(stateDir, 'lock');
  const fd = openSync(path, 'a+', 0o600);
  try {
    for (const deadline = Date.now() + PATIENCE_MS; !tryLock(fd); await delay(POLL_MS))
      if (Date.now() > deadline)
        throw precondition(
          `${path} is held by another process for more than ${PATIENCE_MS / 1000} s (\`lsof ${path}\`)`,
        );
    return await work();
  } finally {
    closeSync(fd);
  }
}
