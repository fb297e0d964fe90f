/** hawser pull. */
import type { Globals } from '../address.js';
import { pull, type PullFlags } from '../image/pull.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export async function pullCommand(reference: string, flags: PullFlags, globals: Globals): Promise<void> {
  const image = await withSession(globals, (session) =>
    interruptible((signal) => pull(session, reference, flags, { signal })),
  );
  process.stdout.write(`${image.name}\n`);
}
