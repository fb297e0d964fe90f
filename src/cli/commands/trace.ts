/** hawser trace: runs a container, and shows where the milliseconds of its start went. */
import { performance } from 'node:perf_hooks';
import type { Container, EventEnvelope } from '../../client/index.js';
import type { Globals } from '../address.js';
import { converse, firstSize } from '../container/converse.js';
import { remove } from '../container/end.js';
import { fifoIo } from '../container/io.js';
import { makeContainer } from '../container/make.js';
import { explainStart } from '../container/start-error.js';
import { Exit, UsageError } from '../errors.js';
import { span } from '../format/time.js';
import type { RunFlags } from '../program/run-flags.js';
import { shortId, withSession, type Session } from '../session.js';
import { askShim } from '../shim/ask.js';
import { findShim, isHawsers, shimSocket } from '../shim/find.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';
import { interruptible } from '../terminal/interrupt.js';
import { measureCalls } from '../trace/calls.js';
import { checkOutput, writeTrace } from '../trace/files.js';
import { spansOf, timelineOf } from '../trace/shim.js';
import { inOrder, now, Recorder } from '../trace/spans.js';
import { waterfall } from '../trace/waterfall.js';

export async function traceCommand(
  words: readonly string[],
  flags: RunFlags & { output?: string[]; format?: string },
  globals: Globals,
): Promise<void> {
  for (const path of flags.output ?? []) checkOutput(path);
  if (flags.format !== undefined && flags.format !== 'json')
    throw new UsageError(`--format ${flags.format}: there is json`, 'trace');
  const recorder = new Recorder();
  const opening = now();
  recorder.add('client', 'hawser starts', performance.timeOrigin, opening);
  const { id, code, told } = await withSession(globals, (session) => {
    recorder.add('client', 'connect', opening, now());
    return interruptible((signal) => traced(session, words, flags, recorder, signal));
  });
  report(id, recorder, flags, told);
  if (code !== 0) throw new Exit(code);
}

interface Traced {
  readonly id: string;
  readonly code: number;
  /** The shim has told its part. */
  readonly told: boolean;
}

async function traced(
  session: Session,
  words: readonly string[],
  flags: RunFlags,
  recorder: Recorder,
  signal: AbortSignal,
): Promise<Traced> {
  const { client } = session;
  const listening = new AbortController();
  const events = collectEvents(client.events({ signal: listening.signal }));
  measureCalls(client, recorder);
  let container: Container | undefined;
  try {
    const made = (container = await recorder.measure('make the container', () =>
      makeContainer(session, words, flags, { logged: false, signal }),
    ));
    const { code } = await follow(made, flags, recorder, signal);
    const told = await recorder.measure('ask the shim', () => tellShim(session, made.id, recorder));
    await recorder.measure('remove the container', () => remove(session, made, { force: true, volumes: true }));
    container = undefined;
    for (const { topic, timestamp, event } of events) {
      if (topic.startsWith('/tasks/') && (event?.containerId ?? event?.container_id) === made.id)
        recorder.add('daemon', `event ${topic}`, timestamp.getTime());
    }
    return { id: made.id, code, told };
  } finally {
    listening.abort();
    if (container !== undefined) await remove(session, container, { force: true, volumes: true });
  }
}

/** Starts it and stays until it ends. */
async function follow(
  container: Container,
  flags: RunFlags,
  recorder: Recorder,
  signal: AbortSignal,
): Promise<{ code: number }> {
  const { interactive = false, tty = false } = flags;
  const begun = now();
  let created = begun;
  const first = await explainStart(container, () =>
    container.start({
      stdin: interactive ? 'pipe' : 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      size: firstSize(tty),
      signal,
      created: () => {
        created = now();
      },
    }),
  );
  const started = now();
  recorder.add('client', 'make the task', begun, created);
  recorder.add('client', 'start the task', created, started);
  let seen = false;
  const exit = first.wait().then((result) => {
    recorder.add('container', 'runs', started, result.exitedAt.getTime() > started ? result.exitedAt.getTime() : now());
    recorder.mark('client', 'its end is known');
    return result;
  });
  const outcome = await converse({
    io: fifoIo(first, interactive),
    exit,
    terminal: tty,
    interactive,
    detachKeys: parseDetachKeys(flags.detachKeys ?? DEFAULT_DETACH_KEYS),
    sigProxy: true,
    own: true,
    closeStdin: tty ? undefined : () => first.closeStdin(),
    resize: (size) => first.resize(size),
    kill: (name) => first.kill(name),
    seen: () => {
      if (!seen) recorder.mark('container', 'first output');
      seen = true;
    },
  });
  return { code: outcome === 'detached' ? 0 : outcome.exitCode };
}

/** Fills a list as events come; what cannot be heard is left out. */
function collectEvents(events: AsyncIterable<EventEnvelope>): EventEnvelope[] {
  const heard: EventEnvelope[] = [];
  const listen = async (): Promise<void> => {
    for await (const envelope of events) heard.push(envelope);
  };
  listen().catch(() => undefined);
  return heard;
}

/** Another shim than Hawser's has nothing to tell. */
async function tellShim({ namespace, address }: Session, id: string, recorder: Recorder): Promise<boolean> {
  const pid = findShim(namespace, id, address);
  const socket = pid === undefined || !isHawsers(pid) ? undefined : shimSocket(pid);
  if (socket === undefined) return false;
  try {
    const moments = timelineOf(await askShim(socket, 'state'), id);
    recorder.spans.push(...spansOf(moments));
    return moments.length > 0;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

function report(
  id: string,
  { spans }: Recorder,
  { output = [], format }: { output?: string[]; format?: string },
  told: boolean,
): void {
  const ordered = inOrder(spans);
  const zero = ordered[0]!.start;
  const at = (name: string): number | undefined => {
    const found = ordered.find((one) => one.name === name);
    return found === undefined ? undefined : found.end - zero;
  };
  if (format === 'json') {
    process.stdout.write(
      ordered
        .map(
          ({ witness, name, start, end }) =>
            `${JSON.stringify({ witness, name, at: start - zero, took: end - start })}\n`,
        )
        .join(''),
    );
  } else {
    const started = at('start the task');
    const output = at('first output');
    process.stdout.write(
      `\n${shortId(id)}: started after ${span(started ?? 0)}${output === undefined ? '' : `, its first output after ${span(output)}`}\n\n`,
    );
    process.stdout.write(waterfall(ordered, process.stdout.columns || 120));
    if (!told) process.stdout.write('(its shim has told nothing of its own)\n');
  }
  for (const path of output) {
    writeTrace(path, `container ${shortId(id)}`, ordered);
    process.stderr.write(`hawser: the trace is in ${path}\n`);
  }
}
