/** hawser start: of containers that have been made, or have ended. */
import type { Container } from '../../client/index.js';
import type { Globals } from '../address.js';
import { redraw } from '../container/converse.js';
import { removeWhenEnded } from '../container/auto-remove.js';
import { CliError, Exit, UsageError } from '../errors.js';
import { LABEL } from '../labels.js';
import { withSession } from '../session.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';
import { attachCommand } from './attach.js';
import { forEach } from './each.js';
import { accompany } from './run.js';
import { startAgain } from './stop.js';

export interface StartFlags {
  readonly attach?: boolean;
  readonly interactive?: boolean;
  readonly detachKeys?: string;
  readonly checkpoint?: string;
}

export async function startCommand(references: readonly string[], flags: StartFlags, globals: Globals): Promise<void> {
  if (!flags.attach && !flags.interactive) {
    await forEach(references, globals, async (container, session) => {
      if (flags.checkpoint === undefined && (await runs(container))) return;
      const { process: first } = await startAgain(container, flags.checkpoint);
      if (container.record.labels[LABEL.autoRemove]) removeWhenEnded(session, container.id, first.pid);
    });
    return;
  }
  if (references.length > 1) throw new UsageError('start -a: one container at a time can be attached to');
  const detachKeys = parseDetachKeys(flags.detachKeys ?? DEFAULT_DETACH_KEYS);
  const code = await withSession(globals, async (session) => {
    const container = await session.find(references[0]!);
    if (flags.checkpoint === undefined && (await runs(container))) return undefined;
    const started = await startAgain(container, flags.checkpoint);
    const tty = container.record.spec.process?.terminal === true;
    if (tty) await redraw(container);
    return accompany(session, container, started, {
      flags: {
        tty,
        interactive: flags.interactive === true,
        rm: container.record.labels[LABEL.autoRemove] !== undefined,
      },
      detachKeys,
    });
  });
  if (code === undefined)
    await attachCommand(
      references[0]!,
      {
        stdin: flags.interactive === true,
        ...(flags.detachKeys === undefined ? {} : { detachKeys: flags.detachKeys }),
      },
      globals,
    );
  else if (code !== 0) throw new Exit(code);
}

/** It is no error to start what runs already, as with docker. */
async function runs(container: Container): Promise<boolean> {
  const { NotFoundError } = await import('../../client/index.js');
  try {
    const { state } = await container.status();
    if (state === 'paused' || state === 'pausing')
      throw new CliError(`container ${container.id} is paused: \`hawser unpause ${container.id}\` has it go on`);
    return state === 'running';
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}
