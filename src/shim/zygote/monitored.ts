/** A monitor for a rehearsal (monitor/rehearsed.c): nearly all that a worker does it does with one, and so would do for the first time. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { removeFile } from '../../oci/bundle.js';
import {
  attachMonitor,
  detachMonitor,
  hearMonitor,
  isHungUp,
  listenUnix,
  makePipe,
  monitorProgram,
  onExit,
  READABLE,
  setNonblock,
  spawnUnwatched,
  SysError,
  tryAccept,
  Watch,
  type MonitorEnds,
} from '../../sys/index.js';

/** What shows as the words of its command line. */
const WORDS = ['hawser-zygote', 'rehearsal'];
/** How long it may take to be there, a small program; less than a launcher waits for its zygote. */
const PATIENCE_MS = 500;

/**
 * Does some work as the worker of a monitor, which is gone afterwards. Where there is none to be had the work is done without, as it is where the
 * program is not beside the library.
 *
 * @param dir where the monitor's socket is made for a moment
 * @param gone is called when the monitor has been killed: of what it was asked some will never be answered, and what was begun cannot be brought to its end.
 *   Default: this process ends
 */
export async function monitored<T>(
  dir: string,
  work: () => Promise<T>,
  gone: () => void = () => process.exit(1),
): Promise<T> {
  const monitor = await tryBegin(join(dir, 'monitor'));
  if (!monitor) return work();
  const { pid, control, bell } = monitor;
  attachMonitor({ control, bell });
  const stop = hearMonitor(gone);
  try {
    return await work();
  } finally {
    // Before it could be heard of.
    if (isHungUp(bell)) gone();
    stop();
    detachMonitor();
    closeSync(control);
    closeSync(bell);
    // It ends with its worker; what it has started ends by itself.
    await ended(pid);
  }
}

interface Monitor extends MonitorEnds {
  readonly pid: number;
}

async function tryBegin(path: string): Promise<Monitor | undefined> {
  const program = monitorProgram();
  try {
    return program === undefined ? undefined : await begin(program, path);
  } catch (error) {
    // The program can't be executed, say, or the path is too long for a socket.
    if (error instanceof SysError) return undefined;
    throw error;
  }
}

async function begin(program: string, path: string): Promise<Monitor | undefined> {
  const listener = listenUnix(path);
  const bell = makePipe();
  let control: number | undefined;
  let pid: number | undefined;
  try {
    for (const end of [bell.read, bell.write]) setNonblock(end, true);
    pid = start(program, path, bell.write);
    control = await accepted(listener);
    if (control === undefined) return undefined;
    // A question waits for its answer.
    setNonblock(control, false);
    return { pid, control, bell: bell.read };
  } finally {
    if (pid !== undefined && control === undefined) {
      process.kill(pid, 'SIGKILL');
      await ended(pid);
    }
    removeFile(path);
    closeSync(listener);
    closeSync(bell.write);
    if (control === undefined) closeSync(bell.read);
  }
}

/** Whoever waits for its end asks the monitor, once there is one: it must not be this one's own that is waited for. */
function start(program: string, path: string, bell: number): number {
  const nowhere = openSync('/dev/null', 'r+');
  try {
    return spawnUnwatched(program, WORDS, {
      stdio: [nowhere, nowhere, nowhere, bell],
      env: { HAWSER_REHEARSED: path },
    });
  } finally {
    closeSync(nowhere);
  }
}

function ended(pid: number): Promise<unknown> {
  return new Promise((resolve) => onExit(pid, resolve));
}

/** Its connection; undefined when it does not come. */
async function accepted(listener: number): Promise<number | undefined> {
  let timer: NodeJS.Timeout | undefined;
  let watch: Watch | undefined;
  try {
    setNonblock(listener, true);
    await new Promise<void>((resolve) => {
      watch = new Watch(listener, () => resolve());
      watch.want(READABLE);
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    return tryAccept(listener);
  } finally {
    clearTimeout(timer);
    watch?.close();
  }
}
