/** Restoring a container from its checkpoint, which its Start does. */
import { closeSync } from 'node:fs';
import { move } from '../../record/states.js';
import { openBothEnds } from '../../stdio/fifo.js';
import { initEnd, launch, type Strategy } from '../launch.js';
import type { Parts } from '../parts.js';

/** Makes and starts the container; its streams are open since its create. */
export async function restore(parts: Parts): Promise<void> {
  const { record, runtime, init, host } = parts;
  move(record, 'start');
  runtime.lookForForeign();
  host.expectMigration();
  // criu opens stdin anew, and would wait for a client that has written and left.
  const stdin = record.init.terminal ? undefined : openBothEnds(record.init.stdin);
  const close = (): void => {
    if (stdin !== undefined) closeSync(stdin);
  };
  await launch(parts, init, init.stdio!, restoration(parts, close));
  move(record, 'restored');
}

/** @param ran called when the runtime has ended */
function restoration({ record, bundle, runtime, memory, exits }: Parts, ran: () => void): Strategy {
  const { id, checkpoint, parentCheckpoint } = record;
  return {
    failure: 'OCI runtime restore failed',
    async run(io) {
      try {
        return await runtime.live.restore(
          { container: id, bundle: record.bundle, pidFile: bundle.initPid, io },
          {
            imagePath: checkpoint,
            workPath: record.runtime.criuWorkPath || bundle.work,
            parentPath: parentCheckpoint,
          },
        );
      } finally {
        ran();
      }
    },
    launched: () => memory.load(),
    ...initEnd(exits),
  };
}
