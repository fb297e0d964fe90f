/** hawser checkpoint and restore. */
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Globals } from '../address.js';
import { CliError } from '../errors.js';
import { containerDirectory } from '../store.js';
import type { Session } from '../session.js';
import { forEach, naming } from './each.js';
import { startAgain } from './stop.js';

export interface CheckpointFlags {
  readonly imagePath?: string;
  readonly leaveRunning?: boolean;
  readonly tcpEstablished?: boolean;
  readonly extUnixSk?: boolean;
  readonly fileLocks?: boolean;
}

function directoryOf({ imagePath }: CheckpointFlags, session: Session, id: string): string {
  return imagePath === undefined
    ? join(containerDirectory(session.address, session.namespace, id), 'checkpoint')
    : resolve(imagePath);
}

export async function checkpointCommand(reference: string, flags: CheckpointFlags, globals: Globals): Promise<void> {
  await forEach([reference], globals, async (container, session) => {
    const directory = directoryOf(flags, session, container.id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    await naming(container.id, 'cannot be written to a checkpoint', { NotFoundError: 'it does not run' }, () =>
      container.createCheckpoint(directory, {
        exit: flags.leaveRunning !== true,
        openTcp: flags.tcpEstablished,
        externalUnixSockets: flags.extUnixSk,
        fileLocks: flags.fileLocks,
        terminal: container.record.spec.process?.terminal,
      }),
    );
    return directory;
  });
}

export async function restoreCommand(reference: string, flags: CheckpointFlags, globals: Globals): Promise<void> {
  await forEach([reference], globals, async (container, session) => {
    const directory = directoryOf(flags, session, container.id);
    if (!existsSync(directory))
      throw new CliError(
        `container ${reference} cannot be restored: there is no ${directory}; \`hawser checkpoint ${reference}\` makes it`,
      );
    await startAgain(container, directory);
  });
}
