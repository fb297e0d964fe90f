/**
 * A spare: a shim that has been booted before its container is there. An earlier `start` has left it, the next one hands
 * it everything that a new process would be given, and it goes on as if it had been started for that (monitor/spare.c).
 */
import { closeSync } from 'node:fs';
import { removeFile } from '../../oci/bundle.js';
import { mark } from '../observe/timeline.js';
import { awaitJob, READABLE, setIdentity, Watch } from '../../sys/index.js';

/** Where the installed files lie; set when the shim is bundled. */
declare const HAWSER_LIBRARY: string;

/** How long a spare waits for a container, unless HAWSER_SPARE says otherwise (in seconds). */
const IDLE_S = 600;

export interface StandIn {
  /** As what the program was executed. */
  name: string;
  /** The command line without the program. */
  args: string[];
  input: number;
  reply: number;
  /** Set when the launcher has found the container's place and answered the daemon: it listens there. */
  listener?: number | undefined;
}

/** Is this process a spare, and not what its command line says? */
export function isSpare(): boolean {
  return process.env.HAWSER_SPARE_SOCKET !== undefined;
}

/**
 * Waits for a job and becomes the process that would have been started for it: arguments, environment, directory, and
 * what ps shows of them. Undefined when there has been nothing to do for long.
 */
export async function standIn(): Promise<StandIn | undefined> {
  const listener = Number(process.env.HAWSER_SPARE_SOCKET);
  const lock = Number(process.env.HAWSER_SPARE_LOCK);
  const path = process.argv[3]!;
  const program = process.argv[1]!;
  const idleMs = (Number(process.env.HAWSER_SPARE) || IDLE_S) * 1000;
  try {
    // A process that can't take on another's looks must not take its place: this tries it.
    setIdentity([process.argv0, ...process.execArgv, program, 'spare', path], []);
    await Promise.all([import('../program/start.js'), import('../worker/serve.js')]);
  } catch (error) {
    removeFile(path);
    throw error;
  }
  await rehearseUntilWanted(listener);
  const job = awaitJob(listener, idleMs);
  removeFile(path);
  if (!job) {
    removeFile(`${path}.lock`);
    return undefined;
  }
  closeSync(listener);
  // Only now another spare may be made.
  closeSync(lock);
  const [name = '', ...args] = job.words;
  replaceEnvironment(job.settings);
  process.chdir(`/proc/self/fd/${job.directory}`);
  closeSync(job.directory);
  setIdentity([name, ...process.execArgv, program, ...args], job.settings);
  return { name, args, input: job.input, reply: job.reply, listener: job.listener === -1 ? undefined : job.listener };
}

/** A rehearsal saves time, and nothing depends on it. */
async function rehearseUntilWanted(listener: number): Promise<void> {
  let wanted = false;
  const watch = new Watch(listener, () => {
    wanted = true;
    watch.want(0);
  });
  watch.want(READABLE);
  // One turn of the loop, so that it is known at once.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  try {
    const { rehearse } = await import('./rehearsal.js');
    await rehearse(`${HAWSER_LIBRARY}/hawser-stand-in`, process.cwd(), () => wanted);
  } catch (error) {
    // For the state dump; there is no log yet.
    mark(`rehearsal failed: ${(error as Error).message}`);
  } finally {
    watch.close();
  }
}

function replaceEnvironment(settings: readonly string[]): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const setting of settings) {
    const at = setting.indexOf('=');
    if (at > 0) process.env[setting.slice(0, at)] = setting.slice(at + 1);
  }
}
