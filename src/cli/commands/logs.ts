/** hawser logs: what a container has printed, of its log file. */
import { existsSync } from 'node:fs';
import type { Container, TaskStatus } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, FAILED, UsageError } from '../errors.js';
import { LABEL, lastRun } from '../labels.js';
import { beginning, lastLines } from '../log/files.js';
import { LogFollower } from '../log/follow.js';
import { logPathOf } from '../options/log.js';
import { withSession } from '../session.js';
import { copyOut } from '../terminal/write.js';

export interface LogsFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly since?: string;
}

export async function logsCommand(
  reference: string,
  { follow = false, tail = 'all', timestamps, since }: LogsFlags,
  globals: Globals,
): Promise<void> {
  if (tail !== 'all' && !/^-?\d+$/.test(tail))
    throw new UsageError(`--tail ${JSON.stringify(tail)}: it is a number of lines, or all`);
  await withSession(globals, async (session) => {
    const container = await session.find(reference);
    const { NotFoundError } = await import('../../client/index.js');
    const task = await container.status().catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
    const path = logOf(container, task);
    for (const [flag, given] of [
      ['--timestamps', timestamps],
      ['--since', since],
    ] as const) {
      if (given !== undefined)
        throw new CliError(
          `logs ${flag}: the log of container ${container.id} is what it has printed, as it is, without times: have it print them, or see \`hawser events\``,
          FAILED,
        );
    }
    const lines = tail === 'all' || Number(tail) < 0 ? undefined : Number(tail);
    const follower = new LogFollower(path, lines === undefined ? beginning(path) : lastLines(path, lines));
    if (!follow || (task?.state ?? 'stopped') === 'stopped') follower.end(true);
    else
      void container.wait().then(
        () => follower.end(false),
        () => follower.end(false),
      );
    await copyOut(follower, process.stdout);
  });
}

/** @throws CliError that says where its output is instead */
export function logOf(container: Container, task: TaskStatus | undefined): string {
  // What the task says holds: its shim may not have been able to do what the container was made for.
  const elsewhere = task?.stdout.startsWith('/') === true;
  const path = elsewhere
    ? undefined
    : (logPathOf(task?.stdout ?? '') ?? logPathOf(container.record.labels[LABEL.log] ?? ''));
  if (
    path !== undefined &&
    (existsSync(path) || task !== undefined || lastRun(container.record.labels).startedAt === undefined)
  )
    return path;
  const name = container.id;
  if (path !== undefined) throw new CliError(`the log of container ${name}, ${path}, is not there any more`);
  if (container.record.labels['nerdctl/log-uri'] !== undefined)
    throw new CliError(`container ${name} was made by nerdctl, which keeps its log: \`nerdctl logs ${name}\``);
  throw new CliError(
    `container ${name} has no log: its output went to whoever has started it; \`hawser run -d\` and \`hawser run -t\` keep one, and --log-driver file does`,
  );
}
