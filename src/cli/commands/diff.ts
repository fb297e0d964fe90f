/** hawser diff: what a container has changed of its image's files. */
import type { Globals } from '../address.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

const LETTERS = { added: 'A', modified: 'C', deleted: 'D' } as const;

export async function diffCommand(reference: string, globals: Globals): Promise<void> {
  const changes = await withSession(globals, (session) =>
    interruptible(async (signal) => (await session.find(reference)).diff({ signal })),
  );
  for (const { path, kind } of changes) process.stdout.write(`${LETTERS[kind]} ${path}\n`);
}
