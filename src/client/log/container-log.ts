/** The log of a container of the daemon's. */
import { Code } from '../../ttrpc/status.js';
import { abortedBy, limit } from '../abort.js';
import { FailedPreconditionError, NotFoundError } from '../errors.js';
import type { Container } from '../types/container.js';
import type { LogEntry, LogOptions } from '../types/log.js';
import type { TaskStatus } from '../types/process.js';
import type { LogStream } from './entries.js';
import { givenMoment, rfc3339 } from '../moment.js';
import { LOG_LABEL, logPlace, type LogPlace } from './place.js';
import { LogReader, type Selection } from './reader.js';

/** By then all that was printed is in the file. */
const LAST_MS = 1000;

/**
 * What it was given says where it is, also when its record says otherwise: its shim may not have been able to do that. Undefined when neither
 * says so.
 */
export function placeOf(labels: Readonly<Record<string, string>>, task: TaskStatus | undefined): LogPlace | undefined {
  return logPlace(task?.stdout ?? '') ?? logPlace(labels[LOG_LABEL] ?? '');
}

/** @throws InvalidArgumentError for a time that is none */
export function selectionOf({ tail, since, until, timestamps, stdout = true, stderr = true }: LogOptions): Selection {
  const streams: LogStream[] = [...(stdout ? (['stdout'] as const) : []), ...(stderr ? (['stderr'] as const) : [])];
  return { tail, since: timeOf('since', since), until: timeOf('until', until), timestamps, streams };
}

function timeOf(name: string, given: Date | string | undefined): string | undefined {
  return given === undefined ? undefined : rfc3339(givenMoment(name, given));
}

/** Has the reader end when nothing more will come. The exit may be told while the last of the output is being written. */
export function endWith(
  reader: LogReader,
  follow: boolean,
  task: TaskStatus | undefined,
  wait: () => Promise<unknown>,
): void {
  const justNow = Date.now() - (task?.exit?.exitedAt.getTime() ?? 0) < LAST_MS;
  if (!follow || (task?.state ?? 'stopped') === 'stopped') reader.end(!justNow);
  else {
    const over = (): void => reader.end(false);
    void wait().then(over, over);
  }
}

/** What is there of its log, and with `follow` what comes. */
export async function* readLog(container: Container, options: LogOptions): AsyncGenerator<LogEntry, void, void> {
  const signal = limit(options);
  const selection = selectionOf(options);
  const task = await container.status({ signal }).catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  const place = placeOf(container.record.labels, task);
  if (place === undefined)
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      `container ${container.id} has no log: its output goes to no file: failed precondition`,
    );
  const reader = new LogReader(place, selection);
  const stop = (): void => reader.stop();
  const waiting = new AbortController();
  endWith(reader, options.follow === true, task, () => container.wait({ signal: waiting.signal }));
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (signal?.aborted) throw abortedBy(signal);
    for await (const pieces of reader) yield* pieces;
    if (signal?.aborted) throw abortedBy(signal);
  } finally {
    signal?.removeEventListener('abort', stop);
    waiting.abort();
  }
}
