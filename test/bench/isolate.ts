/**
 * Runs a program where it meets nobody: in a mount namespace of its own with an empty /run, so that no shim finds what others'
 * shims have left there, nor they what its shims leave, and with a cgroup and a directory of its own. However it ends, by itself,
 * by Ctrl-C or killed, nothing of it is left.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountsBelow } from '../support/machine.js';
import { sweep } from './cgroup.js';

const CGROUP = 'HAWSER_BENCH_CGROUP';
const DIRECTORY = 'HAWSER_BENCH_DIRECTORY';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a program has for itself. */
export interface Place {
  /** As a path below the root of each hierarchy. */
  cgroup: string;
  directory: string;
}

async function clean({ cgroup, directory }: Place): Promise<void> {
  await sweep(cgroup);
  // From within the namespace a mount point can't be removed.
  for (const point of mountsBelow(directory).reverse()) run('umount', '-l', point);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs this program once more, in a place of its own, and gives its exit status. */
async function runIsolated(): Promise<number> {
  const place = { cgroup: `/hawser-bench-${process.pid}`, directory: mkdtempSync(join(tmpdir(), 'hawser-bench-')) };
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', ['--mount', '--propagation', 'private', ...program], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // What others make of the directory for temporary files goes with ours.
    env: { ...process.env, [CGROUP]: place.cgroup, [DIRECTORY]: place.directory, TMPDIR: place.directory },
  });
  for (const signal of SIGNALS) process.on(signal, () => void child.kill(signal));
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
    });
  } finally {
    await clean(place);
  }
}

function placeOfOwn(): Place | undefined {
  const { [CGROUP]: cgroup, [DIRECTORY]: directory } = process.env;
  return cgroup && directory ? { cgroup, directory } : undefined;
}

/**
 * Does some work in a place of its own.
 *
 * @param work sets the exit status itself, or throws
 */
export async function isolated(work: (place: Place) => Promise<void>): Promise<void> {
  const place = placeOfOwn();
  if (!place) {
    process.exitCode = await runIsolated();
    return;
  }
  // Who started us cleans up; when it has been killed, we do.
  process.once('disconnect', () => {
    const failed = (error: unknown): void => console.error(error);
    void clean(place)
      .catch(failed)
      .finally(() => process.exit(1));
  });
  process.channel?.unref();
  for (const signal of SIGNALS) process.once(signal, () => process.exit(128 + constants.signals[signal]));
  await work(place);
  process.removeAllListeners('disconnect');
}

function run(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`, { cause: error });
}

/** Hides what the machine has in a directory, from us and from what we start. */
export function mountEmpty(directory: string): void {
  run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'hawser-bench', directory);
}

/**
 * Has what we start find a copy of a program in its place. Its pages are shared only among those: the share that a process has of its
 * memory does not get smaller since somebody else on the machine, such as we, runs the same program.
 */
export function copyInPlace(program: string, copy: string): void {
  copyFileSync(program, copy);
  run('mount', '--bind', copy, realpathSync(program));
}
