/** From `start` to the process that serves: the same program, detached, with the listening socket as a descriptor. */
import { spawn, type SpawnOptions } from 'node:child_process';
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { Bundle } from '../../oci/bundle.js';
import { duplicate } from '../../sys/index.js';
import { addressOf } from '../program/delete.js';
import { adopt, type Listening } from '../program/listen.js';
import { wordsFor } from './monitor.js';

/** What the serving process gets: its socket, and a pipe to say on that it serves. */
const LISTENER_FD = 3;
const READY_FD = 4;
const READY = 'serving\n';
/** How long it may take to load what the author has it load. */
const READY_MS = 30_000;
/** How much of what it says when it fails is passed on. */
const MAX_WORDS = 4_096;

/**
 * Starts the serving process, and waits until it serves.
 *
 * @param flags the command line that the daemon gave, without the action
 * @param monitor the program of a monitor that is to start it, and is the shim then
 * @throws with what it said when it ended instead
 */
export async function launch({ fd }: Listening, flags: readonly string[], monitor: string | undefined): Promise<void> {
  const command = [process.execPath, ...process.execArgv, process.argv[1]!, ...flags];
  const options: SpawnOptions = { detached: true, stdio: ['ignore', 'ignore', 'pipe', fd, 'pipe'] };
  const child = monitor
    ? spawn(monitor, flags, { ...options, argv0: process.argv[1]!, env: { ...process.env, ...wordsFor(command) } })
    : spawn(command[0]!, command.slice(1), options);
  // From here on the socket is its own: who connects must not be accepted by us.
  closeSync(fd);
  let words = '';
  child.stderr!.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-MAX_WORDS)));
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`it did not serve within ${READY_MS / 1000} s`)), READY_MS);
      let said = '';
      (child.stdio[READY_FD] as Readable).on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said !== READY) return;
        clearTimeout(timer);
        resolve();
      });
      child.once('error', reject);
      child.once('close', (status, signal) => reject(new Error(`it ended with ${signal ?? `status ${status}`}`)));
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(
      `the shim could not be started: ${(error as Error).message}${words ? `; it said: ${words.trim()}` : ''}`,
      { cause: error },
    );
  }
  child.unref();
}

/** In the serving process: the socket that `start` has bound. */
export function inheritedListener(): Listening {
  let isSocket = false;
  try {
    isSocket = fstatSync(LISTENER_FD).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
  }
  if (!isSocket)
    throw new Error(
      `descriptor ${LISTENER_FD} is no listening socket: containerd runs this program, with the action start`,
    );
  const path = addressOf(new Bundle(process.cwd()));
  if (path === undefined) throw new Error(`there is no file address in ${process.cwd()}, which start makes`);
  return adopt(LISTENER_FD, path);
}

/** Tells `start` that it may answer. From here on nobody reads what is said but the daemon, in its log. */
export function sayReady(): void {
  writeSync(READY_FD, READY);
  closeSync(READY_FD);
  // The log has taken its place, where there is one.
  if (!fstatSync(2).isSocket()) return;
  const nowhere = openSync('/dev/null', 'r+');
  duplicate(nowhere, 2);
  closeSync(nowhere);
}
