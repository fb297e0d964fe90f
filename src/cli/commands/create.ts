/** hawser create: a container that does not run yet. */
import type { Globals } from '../address.js';
import { makeContainer } from '../container/make.js';
import { attachedStreams } from '../options/attach.js';
import type { RunFlags } from '../program/run-flags.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export async function createCommand(words: readonly string[], flags: RunFlags, globals: Globals): Promise<void> {
  attachedStreams(flags);
  await withSession(globals, async (session) => {
    const { id } = await interruptible((signal) => makeContainer(session, words, flags, { logged: true, signal }));
    process.stdout.write(`${id}\n`);
  });
}
