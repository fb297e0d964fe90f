/** Removing a container that nobody waits for: when its process has ended, a tiny program has `hawser rm` run. */
import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CliError, FAILED } from '../errors.js';
import type { Session } from '../session.js';

/** Beside the program, as built and as installed. */
function program(): string {
  const here = dirname(process.argv[1] ?? '');
  const found = [join(here, 'hawser-after'), join(here, '../../dist/hawser-after')].find((path) => existsSync(path));
  if (found === undefined)
    throw new CliError(
      `${join(here, 'hawser-after')} is missing, so that --rm cannot be done later: run 'make build' or 'make install', or leave out --rm`,
      FAILED,
    );
  return found;
}

/** Returns at once. */
export function removeWhenEnded(session: Session, id: string, pid: number): void {
  const child = spawn(
    program(),
    [
      String(pid),
      process.execPath,
      process.argv[1]!,
      '--address',
      session.address,
      '--namespace',
      session.namespace,
      '__reap',
      id,
    ],
    {
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { PATH: process.env.PATH, HAWSER_DATA: process.env.HAWSER_DATA },
    },
  );
  child.on('error', (error) =>
    process.stderr.write(`hawser: container ${id} will not be removed when it ends: ${error.message}\n`),
  );
  child.unref();
}

/** Keeps a FIFO's write end open until a process has ended: other shims than Hawser's take the last writer's leaving for the end of all input. */
export function holdInput(fifo: string, pid: number): void {
  const fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    const child = spawn(program(), [String(pid), '/bin/true'], {
      detached: true,
      stdio: [fd, 'ignore', 'ignore'],
      cwd: '/',
    });
    child.on('error', (error) => process.stderr.write(`hawser: ${fifo} cannot be held open: ${error.message}\n`));
    child.unref();
  } finally {
    closeSync(fd);
  }
}

/** That it could be done, before anything is. */
export function checkAutoRemove(): void {
  program();
}
