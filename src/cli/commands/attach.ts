/** hawser attach: a terminal, or at least the output, of a container that runs already. */
import type { Container, TaskStatus } from '../../client/index.js';
import type { Globals } from '../address.js';
import { converse, redraw } from '../container/converse.js';
import { fifoIo, logIo, type ContainerIo } from '../container/io.js';
import { CliError, Exit } from '../errors.js';
import { LABEL } from '../labels.js';
import { logPlace } from '../../client/log/place.js';
import { withSession } from '../session.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';

export interface AttachFlags {
  readonly detachKeys?: string;
  readonly stdin?: boolean;
  readonly sigProxy?: boolean;
}

export async function attachCommand(
  reference: string,
  { detachKeys = DEFAULT_DETACH_KEYS, stdin = true, sigProxy = true }: AttachFlags,
  globals: Globals,
): Promise<void> {
  const keys = parseDetachKeys(detachKeys);
  const outcome = await withSession(globals, async (session) => {
    const container = await session.find(reference);
    const task = await running(container);
    const io = await ioOf(container, task, stdin);
    const ended = container.wait();
    // It counts when the conversation waits for it.
    ended.catch(() => undefined);
    if (task.terminal) await redraw(container);
    const result = await converse({
      io,
      exit: ended,
      terminal: task.terminal,
      interactive: stdin,
      detachKeys: keys,
      sigProxy,
      resize: (size) => container.resizeTerminal(size),
      kill: (signal) => container.signalProcess(signal),
    });
    if (result === 'detached') process.stderr.write('\r\n');
    return result;
  });
  if (outcome !== 'detached' && outcome.exitCode !== 0) throw new Exit(outcome.exitCode);
}

async function running(container: Container): Promise<TaskStatus> {
  const { NotFoundError } = await import('../../client/index.js');
  const next = `start it with \`hawser start -a ${container.id}\``;
  let task;
  try {
    task = await container.status();
  } catch (error) {
    if (error instanceof NotFoundError)
      throw new CliError(`container ${container.id} does not run, so there is nothing to attach to: ${next}`, 1, {
        cause: error,
      });
    throw error;
  }
  if (task.state === 'stopped')
    throw new CliError(
      `container ${container.id} has ended, so there is nothing to attach to: ${next}, or see \`hawser logs ${container.id}\``,
    );
  if (task.state !== 'running')
    throw new CliError(
      `container ${container.id} is ${task.state}, and would not answer: \`hawser unpause ${container.id}\` first`,
    );
  return task;
}

/** By its log when it has one, which others may read as well; else by its FIFOs, whose output only one can have. */
async function ioOf(container: Container, task: TaskStatus, stdin: boolean): Promise<ContainerIo> {
  const log = logPlace(task.stdout);
  const ownInput = container.record.labels[LABEL.stdin];
  // A shim that could not write the log has the client library's FIFOs instead.
  if (log !== undefined || (ownInput !== undefined && task.stdin === ownInput))
    return logIo(log, { stdin: stdin ? (ownInput ?? (task.stdin || undefined)) : undefined });
  if (!task.stdout.startsWith('/'))
    throw new CliError(
      `container ${container.id} cannot be attached to: its output goes ${task.stdout === '' ? 'nowhere' : `to ${task.stdout}`}`,
    );
  return fifoIo(await container.attach({ stdin }), stdin && task.stdin !== '');
}
