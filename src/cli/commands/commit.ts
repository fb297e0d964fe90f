/** hawser commit: an image of what a container has changed. */
import type { Globals } from '../address.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export interface CommitFlags {
  readonly author?: string;
  readonly message?: string;
  readonly change?: string[];
  readonly pause?: boolean;
}

export async function commitCommand(
  reference: string,
  name: string | undefined,
  { author, message, change, pause }: CommitFlags,
  globals: Globals,
): Promise<void> {
  const image = await withSession(globals, (session) =>
    interruptible(async (signal) => {
      const container = await session.find(reference);
      return container.commit({ name, author, message, changes: change, pause, signal });
    }),
  );
  process.stdout.write(`${image.target.digest}\n`);
}
