/**
 * Waiting for a client to read the last of a process's output. containerd's client of 2.x closes its FIFOs as soon as it
 * has been told of the end (containerd pkg/cio, copyIO's cancel), and what lies in them then is lost.
 */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 1;
/** Who has read nothing for so long is not about to. */
const PATIENCE_MS = 50;
/** However it goes on: others may still write. */
const AT_MOST_MS = 1_000;

/**
 * Resolves when nothing is left, or when it has not become less for a while. Undefined when nothing is there to begin with.
 *
 * @param unread how many bytes there are
 */
export function beingRead(unread: () => number): Promise<void> | undefined {
  const first = unread();
  return first === 0 ? undefined : watch(unread, first);
}

async function watch(unread: () => number, first: number): Promise<void> {
  let least = first;
  const end = Date.now() + AT_MOST_MS;
  for (let since = Date.now(); least > 0 && Date.now() < Math.min(end, since + PATIENCE_MS);) {
    await delay(LOOK_MS);
    const now = unread();
    if (now >= least) continue;
    least = now;
    since = Date.now();
  }
}
