/** Starts a container's task: with its output to whoever starts it, or to its log. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Container, Process, WindowSize } from '../../client/index.js';
import { makeFifo } from '../../sys/index.js';
import { holdInput } from './auto-remove.js';
import { explainStart, refusesFile } from './start-error.js';
import { LABEL, runLabel } from '../labels.js';
import type { Stream } from '../options/attach.js';
import { startedLabels } from '../options/restart.js';
import { ending, type Position } from '../../client/log/files.js';
import { logPlace, type LogPlace } from '../../client/log/place.js';

export interface Launch {
  readonly interactive: boolean;
  /** Which of its outputs are wanted, in the foreground, if there is no log that has them all. Default: both. */
  readonly streams?: ReadonlySet<Stream> | undefined;
  readonly size?: WindowSize | undefined;
  readonly checkpointDir?: string | undefined;
  readonly pidfile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Launched {
  readonly process: Process;
  /** Where its output is, when it has a log. */
  readonly log: LogPlace | undefined;
  /** Where this run's output begins in the log. */
  readonly from: Position | undefined;
  readonly stdin: string | undefined;
  /** False when its shim could not do that, so that its output and input go through FIFOs of this process. */
  readonly logged: boolean;
}

/** With streams of this process. */
export async function launchForeground(container: Container, launch: Launch): Promise<Process> {
  const { interactive, size, pidfile, signal, streams } = launch;
  const { labels, spec } = container.record;
  const terminal = spec.process?.terminal === true;
  const output = (stream: Stream): 'pipe' | 'ignore' =>
    labels[LABEL.log] !== undefined || streams === undefined || streams.has(stream) ? 'pipe' : 'ignore';
  const { created, keep } = beginning(container);
  return explainStart(container, async () => {
    const process = await container.start({
      stdin: interactive ? 'pipe' : 'ignore',
      stdout: output('stdout'),
      stderr: output('stderr'),
      size,
      signal,
      created,
    });
    writePid(process, pidfile);
    // Who detaches from a terminal may come back to type.
    if (terminal && interactive) holdInput((await container.status()).stdin, process.pid);
    await keep();
    return process;
  });
}

/** What is to be known of a container whose shim keeps no log of its terminal. */
export const UNLOGGED =
  "its shim cannot keep a terminal's output in a file, so there is no log, and it stands still when much of its output waits for `hawser attach`; Hawser's shim can";

/** With its output to its log; of a container that was not made for it, to nowhere. */
export async function launchLogged(container: Container, launch: Launch): Promise<Launched> {
  const { size, pidfile, checkpointDir, signal } = launch;
  const { labels } = container.record;
  const uri = labels[LABEL.log];
  const log = uri === undefined ? undefined : logPlace(uri);
  const stdin = labels[LABEL.stdin];
  if (stdin !== undefined && !existsSync(stdin)) {
    mkdirSync(dirname(stdin), { recursive: true, mode: 0o700 });
    makeFifo(stdin, 0o600);
  }
  const from = log === undefined ? undefined : ending(log.path);
  const terminal = container.record.spec.process?.terminal === true;
  const { created, keep } = beginning(container);
  const { process, logged } = await explainStart(container, async () => {
    try {
      return {
        process: await container.start({
          stdin: stdin ?? 'ignore',
          stdout: uri ?? 'ignore',
          stderr: terminal ? 'ignore' : (uri ?? 'ignore'),
          size,
          checkpointDir,
          signal,
          created,
        }),
        logged: true,
      };
    } catch (error) {
      if (!terminal || !refusesFile(error)) throw error;
      const process = await container.start({
        stdin: stdin === undefined ? 'ignore' : 'pipe',
        stdout: 'pipe',
        size,
        checkpointDir,
        signal,
        created,
      });
      if (stdin !== undefined) holdInput((await container.status()).stdin, process.pid);
      return { process, logged: false };
    }
  });
  writePid(process, pidfile);
  await keep();
  return { process, log, from, stdin, logged };
}

/** When a run begins: the time before anything of it runs, so that it is not after the end, kept with the container once it has been started. */
function beginning(container: Container): { created: () => void; keep: () => Promise<void> } {
  let startedAt = new Date();
  return {
    created: () => {
      startedAt = new Date();
    },
    // How an earlier run has ended is no longer so.
    keep: () =>
      container.setLabels({
        ...runLabel({ startedAt: startedAt.toISOString() }),
        ...startedLabels(container.record.labels),
      }),
  };
}

function writePid(process: Process, file: string | undefined): void {
  if (file !== undefined) writeFileSync(file, `${process.pid}\n`);
}
