/** hawser stop and restart. */
import type { Container } from '../../client/index.js';
import { stopSignalOf } from '../../client/signals.js';
import type { Globals } from '../address.js';
import { launchLogged } from '../container/launch.js';
import { LABEL } from '../labels.js';
import { forEach, naming } from './each.js';
import { signalNumber } from './kill.js';
import { markStopped } from './mark-stopped.js';

const PATIENCE_S = 10;

export interface StopFlags {
  /** Seconds; negative for ever. */
  readonly time?: number;
  readonly signal?: string;
}

export async function stopCommand(references: readonly string[], flags: StopFlags, globals: Globals): Promise<void> {
  await forEach(references, globals, async (container, { client }) => {
    await naming(container.id, 'cannot be stopped', {}, () => stop(container, flags));
    // Its task stays, and tells how it ended; ports and addresses do not.
    if (client.networks.of(container.id).attachments.length > 0) await client.networks.tidy();
  });
}

export async function restartCommand(references: readonly string[], flags: StopFlags, globals: Globals): Promise<void> {
  await forEach(references, globals, async (container) => {
    await naming(container.id, 'cannot be stopped', {}, () => stop(container, flags));
    await startAgain(container);
  });
}

/** Starts a container whose earlier task, if there was one, has ended. */
export async function startAgain(
  container: Container,
  checkpointDir?: string,
): Promise<ReturnType<typeof launchLogged>> {
  await discardEnded(container);
  return launchLogged(container, { interactive: container.record.labels[LABEL.stdin] !== undefined, checkpointDir });
}

/** An ended task is in the way of the next one. */
async function discardEnded(container: Container): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  try {
    if ((await container.status()).state === 'stopped') await container.deleteTask();
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

/** By its signal first, and by force after a while. One that does not run is left alone. */
export async function stop(container: Container, { time: given, signal }: StopFlags): Promise<void> {
  const { NotFoundError, FailedPreconditionError } = await import('../../client/index.js');
  const { labels } = container.record;
  const time = given ?? Number(labels[LABEL.stopTimeout] ?? PATIENCE_S);
  const first = signalNumber(signal ?? labels[LABEL.stopSignal] ?? String(stopSignalOf(labels)));
  try {
    const { state } = await container.status();
    await markStopped(container);
    if (state === 'stopped') return;
    const ended = container.wait();
    // It may fail before it is waited for.
    ended.catch(() => undefined);
    // What stands still hears no signal.
    if (state === 'paused') await container.resume();
    await container.signalProcess(first);
    let timer: NodeJS.Timeout | undefined;
    const late =
      time < 0
        ? undefined
        : new Promise<'late'>((resolve) => {
            timer = setTimeout(() => resolve('late'), time * 1000);
          });
    const outcome = await Promise.race([ended, ...(late ? [late] : [])]);
    clearTimeout(timer);
    if (outcome !== 'late') return;
    await container.signalProcess('SIGKILL');
    await ended;
  } catch (error) {
    // It ended by itself meanwhile.
    if (error instanceof NotFoundError || error instanceof FailedPreconditionError) return;
    throw error;
  }
}
