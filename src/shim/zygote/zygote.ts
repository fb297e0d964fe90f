/**
 * A zygote: a shim that has been booted before there is a container for it, has rehearsed one's life, and forks a process for
 * each container that comes. An earlier `start` has left it. Such a process is handed everything that a new one would be given,
 * and goes on as if it had been started for that (monitor/zygote.c).
 */
import { closeSync, existsSync, statSync } from 'node:fs';
import { removeFile } from '../../oci/bundle.js';
import {
  forkForJobs,
  type MonitorEnds,
  openPidfd,
  READABLE,
  releaseFiles,
  setIdentity,
  trimMemory,
  Watch,
  type Job,
} from '../../sys/index.js';
import type { Timeline } from '../observe/timeline.js';
import { liveWhole } from './lives.js';
import { makeRoom } from './room.js';
import { ownSettings } from '../worker/identity.js';
import { compact } from '../worker/rest.js';

/** Where the installed files lie; set when the shim is bundled. */
declare const HAWSER_LIBRARY: string;

/** How long a zygote waits for a container, unless HAWSER_ZYGOTE says otherwise (in seconds). */
const IDLE_S = 600;
/** How often it looks whether it is still of use: its program or its Node may have been replaced, or its socket removed by somebody whom it kept waiting. */
const LOOK_MS = 10_000;
/** After who has come in the midst of a rehearsal others may follow: it goes on so much later. */
const SOON_MS = 500;
/** How long it outlives its daemon: one that restarts is back by then. */
const AFTER_DAEMON_MS = 5_000;

export interface StandIn {
  /** As what the program was executed. */
  name: string;
  /** The command line without the program. */
  args: string[];
  input: number;
  reply: number;
  /** Set when the launcher has found the container's place and answered the daemon: it listens there. */
  listener?: number | undefined;
  /** Absent where nobody but this process is the shim. */
  monitor?: MonitorEnds | undefined;
}

/** Is this process a zygote, and not what its command line says? */
export function isZygote(): boolean {
  return process.env.HAWSER_ZYGOTE_SOCKET !== undefined;
}

/**
 * In each process that is forked for a container: becomes the process that would have been started for it, by arguments,
 * environment, directory, and what ps shows of them. In the zygote: undefined, when there is nothing to do for it any more.
 *
 * @param timeline where it notes what went wrong: for the state dump, as there is no log yet
 */
export async function standIn(timeline: Timeline): Promise<StandIn | undefined> {
  const listener = Number(process.env.HAWSER_ZYGOTE_SOCKET);
  const lock = Number(process.env.HAWSER_ZYGOTE_LOCK);
  const idleMs = (Number(process.env.HAWSER_ZYGOTE) || IDLE_S) * 1000;
  const daemon = pidfdOf(Number(process.env.HAWSER_DAEMON_PID), timeline);
  const path = process.argv[3]!;
  const program = process.argv[1]!;
  // What has gone, or been replaced, by the time that it has rehearsed is noticed then.
  const begun = { program: use(path), node: lookOf(NODE) };
  let job: Job | undefined;
  try {
    // A process that can't take on another's looks must not take its place: this tries it.
    const words = (...more: readonly string[]): string[] => [
      process.argv0,
      ...process.execArgv,
      program,
      'zygote',
      ...more,
      path,
    ];
    setIdentity(words(), []);
    // What each of those that are forked begins with, which is then nothing new.
    become(ownSettings(), process.cwd());
    await Promise.all([import('../program/start.js'), import('../worker/serve.js')]);
    job =
      (await rehearseUntilWanted(listener, () => use(path) === begun.program, timeline)) ??
      waitForJobs({ path, begun, shown: words('next') }, listener, daemon, idleMs);
  } finally {
    if (!job) for (const file of [path, `${path}.lock`]) removeFile(file);
  }
  if (!job) return undefined;
  closeSync(listener);
  // Else nobody could make another zygote when this one's has ended.
  closeSync(lock);
  if (daemon !== undefined) closeSync(daemon);
  const [name = '', ...args] = job.words;
  become(job.settings, `/proc/self/fd/${job.directory}`);
  closeSync(job.directory);
  return {
    name,
    args,
    input: job.input,
    reply: job.reply,
    listener: job.listener === -1 ? undefined : job.listener,
    monitor: { control: job.control, bell: job.bell },
  };
}

/** Whoever made us may be gone by now. */
function pidfdOf(daemon: number, timeline: Timeline): number | undefined {
  try {
    return daemon > 1 ? openPidfd(daemon) : undefined;
  } catch (error) {
    timeline.mark(`watching the daemon failed: ${(error as Error).message}`);
    return undefined;
  }
}

/** A job in a forked process; undefined in the zygote, when it is of no use any more. */
function waitForJobs(
  { path, begun, shown }: { path: string; begun: { program: string; node: string }; shown: readonly string[] },
  listener: number,
  daemon: number | undefined,
  idleMs: number,
): Job | undefined {
  for (let left = idleMs; left > 0;) {
    const program = use(path);
    if (program !== begun.program || program.includes(GONE)) return undefined;
    // Shims shall run on the one that is installed; where there is none any more, on this one.
    const node = lookOf(NODE);
    if (node !== begun.node && node !== GONE) return undefined;
    const waitMs = Math.min(left, LOOK_MS);
    const { job, forked, isOver } = forkForJobs(listener, daemon, waitMs, shown);
    if (job) return job;
    if (isOver) return forkForJobs(listener, undefined, AFTER_DAEMON_MS, shown).job;
    left = forked > 0 ? idleMs : left - waitMs;
  }
  return undefined;
}

const GONE = 'gone';
/** As the launcher finds it (monitor/node.c); where there is no link it is the same for as long as nothing is moved. */
const NODE = existsSync(`${HAWSER_LIBRARY}/node`) ? `${HAWSER_LIBRARY}/node` : process.execPath;

/** Changes when the program is replaced, or the socket. */
function use(path: string): string {
  return [`${HAWSER_LIBRARY}/shim.bundle.js`, path].map(lookOf).join(', ');
}

/** Another when the file is another. */
function lookOf(path: string): string {
  const file = statSync(path, { throwIfNoEntry: false });
  return file ? `${file.ino} ${file.mtimeMs}` : GONE;
}

/** A rehearsal saves time, and nothing depends on it. Who comes meanwhile is served as soon as nothing of it is open. */
async function rehearseUntilWanted(
  listener: number,
  isOfUse: () => boolean,
  timeline: Timeline,
): Promise<Job | undefined> {
  let isCompact = false;
  // Afterwards nothing would be left for which something was optimized.
  const amid = (): void => {
    tidy();
    isCompact = true;
  };
  try {
    const { LIVES, rehearse } = await import('./rehearsal.js');
    const standIn = `${HAWSER_LIBRARY}/hawser-stand-in`;
    const live = (life: number): Promise<boolean> =>
      unlessWanted(listener, (isWanted) =>
        rehearse(standIn, process.cwd(), isWanted, life === LIVES - 1 ? amid : undefined),
      );
    const serve = (): Job | undefined => forkForJobs(listener, undefined, SOON_MS).job;
    const job = await liveWhole(LIVES, live, serve, isOfUse);
    if (job) return job;
  } catch (error) {
    timeline.mark(`rehearsal failed: ${(error as Error).message}`);
  }
  // What has been moved together its processes share, until they write there: also where the last life was broken off.
  if (!isCompact) tidy();
  await nextTurns();
  trimMemory();
  // Who is forked has to read its program by itself in any case.
  releaseFiles();
  return undefined;
}

/** Does some work, unless somebody has come, or comes meanwhile: false then. Leaves nothing that is polled. */
async function unlessWanted(listener: number, work: (isWanted: () => boolean) => Promise<void>): Promise<boolean> {
  let isWanted = false;
  const watch = new Watch(listener, () => {
    isWanted = true;
    watch.want(0);
  });
  watch.want(READABLE);
  try {
    // So that it is known at once.
    await nextTurns();
    if (!isWanted) await work(() => isWanted);
  } finally {
    watch.close();
  }
  await nextTurns();
  return !isWanted;
}

/** What lives on is moved together. The lives before would have written to all of the room, which would be in memory then. */
function tidy(): void {
  makeRoom();
  compact();
}

/** By then what has been closed is closed; and this is no callback of something that is polled, as the loop is made anew in what is forked. */
async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Takes on another process's environment and directory. */
function become(settings: readonly string[], directory: string): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const setting of settings) {
    const at = setting.indexOf('=');
    if (at > 0) process.env[setting.slice(0, at)] = setting.slice(at + 1);
  }
  process.chdir(directory);
}
