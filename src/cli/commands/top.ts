/** hawser top: a container's processes, as ps shows them. */
import { spawnSync } from 'node:child_process';
import type { Globals } from '../address.js';
import { CliError, FAILED } from '../errors.js';
import { table } from '../format/table.js';
import { describeProcess } from '../host/processes.js';
import { withSession } from '../session.js';
import { naming } from './each.js';

export async function topCommand(
  reference: string,
  psOptions: readonly string[],
  _options: unknown,
  globals: Globals,
): Promise<void> {
  const pids = await withSession(globals, async (session) => {
    const container = await session.find(reference);
    return naming(reference, 'has no processes', { NotFoundError: 'it does not run' }, () => container.listPids());
  });
  if (psOptions.length > 0) {
    process.stdout.write(byPs(pids, psOptions));
    return;
  }
  const rows = pids.flatMap((pid) => describeProcess(pid) ?? []);
  process.stdout.write(
    table(
      ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'],
      rows.map((one) => [
        one.user,
        String(one.pid),
        String(one.ppid),
        String(one.percent),
        one.started,
        one.terminal,
        one.time,
        one.command,
      ]),
    ),
  );
}

/** The lines of ps that are about these processes; it must show their ids. */
function byPs(pids: readonly number[], options: readonly string[]): string {
  const { stdout, stderr, status, error } = spawnSync('ps', options, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  if (error)
    throw new CliError(`top: ps cannot be run: ${error.message}; leave out its options, or install procps`, FAILED, {
      cause: error,
    });
  if (status !== 0)
    throw new CliError(`top: ps ${options.join(' ')}: ${stderr.trim().split('\n')[0] ?? 'failed'}`, FAILED);
  const [heading = '', ...lines] = stdout.split('\n');
  const column = heading.trim().split(/\s+/).indexOf('PID');
  if (column < 0)
    throw new CliError(
      `top: ps ${options.join(' ')} shows no PID, without which nobody can tell whose a line is: add -o pid`,
      FAILED,
    );
  const wanted = new Set(pids.map(String));
  return [heading, ...lines.filter((line) => wanted.has(line.trim().split(/\s+/)[column] ?? ''))]
    .map((line) => `${line}\n`)
    .join('');
}
