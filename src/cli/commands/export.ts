/** hawser export: a container's root file system as a tar archive. */
import type { Globals } from '../address.js';
import { refuseTerminal, writeArchive } from '../output/archive.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export async function exportCommand(
  reference: string,
  { output }: { output?: string },
  globals: Globals,
): Promise<void> {
  refuseTerminal('export', output);
  await withSession(globals, (session) =>
    interruptible(async (signal) => {
      const container = await session.find(reference);
      await writeArchive(output, container.export({ signal }));
    }),
  );
}
