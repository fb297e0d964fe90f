/** hawser logs: what a container has printed, of its log. */
import { existsSync } from 'node:fs';
import { endWith, placeOf, selectionOf } from '../../client/log/container-log.js';
import type { LogPlace } from '../../client/log/place.js';
import { LogReader, type Selection } from '../../client/log/reader.js';
import type { Container, TaskStatus } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, FAILED, UsageError } from '../errors.js';
import { checkMoments } from '../format/time.js';
import { LABEL, lastRun } from '../labels.js';
import { withSession } from '../session.js';
import { copyBoth } from '../terminal/write.js';

export interface LogsFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly since?: string;
  readonly until?: string;
}

export async function logsCommand(reference: string, flags: LogsFlags, globals: Globals): Promise<void> {
  const { follow = false, timestamps = false, since, until } = flags;
  checkMoments({ since, until });
  const selection = selectionOf({ tail: linesOf(flags.tail), timestamps, since, until });
  await withSession(globals, async (session) => {
    const container = await session.find(reference);
    const { FailedPreconditionError, NotFoundError } = await import('../../client/index.js');
    const task = await container.status().catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
    const place = logOf(container, task);
    try {
      const reader = new LogReader(place, selection);
      endWith(reader, follow, task, () => container.wait());
      await copyBoth(reader);
    } catch (error) {
      if (!(error instanceof FailedPreconditionError)) throw error;
      throw new CliError(
        `logs ${wordsOf(selection)}: the log of container ${container.id} is what it has printed, as it is, without times: an earlier version of hawser has made it, or another shim than Hawser's writes it; have it print them, or see \`hawser events\``,
        FAILED,
        { cause: error },
      );
    }
  });
}

/** As docker has it: what is less than none is all. */
function linesOf(tail = 'all'): number | undefined {
  if (tail === 'all') return undefined;
  if (!/^-?\d+$/.test(tail)) throw new UsageError(`--tail ${JSON.stringify(tail)}: it is a number of lines, or all`);
  return Number(tail) < 0 ? undefined : Number(tail);
}

/** The flags that want times. */
function wordsOf({ timestamps, since, until }: Selection): string {
  return [timestamps && '--timestamps', since !== undefined && '--since', until !== undefined && '--until']
    .filter(Boolean)
    .join(' ');
}

/** @throws CliError that says where its output is instead */
function logOf(container: Container, task: TaskStatus | undefined): LogPlace {
  const { labels } = container.record;
  const place = placeOf(labels, task);
  if (place !== undefined) {
    const isThere = existsSync(place.path);
    // FIFOs: who has started it keeps a log beside; its shim may not have been able to do what the container was made for.
    const elsewhere = task?.stdout.startsWith('/') === true;
    if (isThere || (!elsewhere && (task !== undefined || lastRun(labels).startedAt === undefined))) return place;
    if (!elsewhere) throw new CliError(`the log of container ${container.id}, ${place.path}, is not there any more`);
  }
  const name = container.id;
  if (labels['nerdctl/log-uri'] !== undefined)
    throw new CliError(`container ${name} was made by nerdctl, which keeps its log: \`nerdctl logs ${name}\``);
  throw new CliError(
    labels[LABEL.log] === undefined
      ? `container ${name} has no log: it was made with --log-driver none, or by an earlier version of hawser for whoever has started it`
      : `container ${name} has no log: its output went to whoever has started it, as its shim cannot keep a terminal's in a file`,
  );
}
