/** hawser exec: another process in a container. */
import type { Globals } from '../address.js';
import { converse, firstSize } from '../container/converse.js';
import { fifoIo, tidied } from '../container/io.js';
import { CliError, Exit, UsageError } from '../errors.js';
import { startFailure } from '../explain.js';
import { environment } from '../options/environment.js';
import { shortId, withSession } from '../session.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';
import { interruptible } from '../terminal/interrupt.js';

export interface ExecFlags {
  readonly detach?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: string[];
  readonly envFile?: string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly privileged?: boolean;
  readonly detachKeys?: string;
}

export async function execCommand(
  reference: string,
  args: readonly string[],
  flags: ExecFlags,
  globals: Globals,
): Promise<void> {
  const { detach = false, interactive = false, tty = false } = flags;
  const detachKeys = parseDetachKeys(flags.detachKeys ?? DEFAULT_DETACH_KEYS);
  if (tty && interactive && !detach && !process.stdin.isTTY)
    throw new UsageError('exec -t -i: standard input is no terminal: leave out -t', 'exec');
  const code = await withSession(globals, async (session) => {
    const container = await session.find(reference);
    const { AbortError, NotFoundError, FailedPreconditionError } = await import('../../client/index.js');
    const out = detach ? 'ignore' : 'pipe';
    const env = environment(flags.env, flags.envFile);
    const started = await interruptible(async (signal) => {
      try {
        return await container.exec({
          args,
          env: tty && !env.some((one) => one.startsWith('TERM=')) ? ['TERM=xterm', ...env] : env,
          cwd: flags.workdir,
          user: flags.user,
          ...(flags.privileged ? { capAdd: ['ALL'] } : {}),
          terminal: tty,
          stdin: interactive && !detach ? 'pipe' : 'ignore',
          stdout: out,
          stderr: out,
          size: firstSize(tty),
          signal,
        });
      } catch (error) {
        if (error instanceof AbortError) throw error;
        const status = await container.status().catch(() => undefined);
        if (
          status?.state !== 'running' &&
          (error instanceof NotFoundError ||
            error instanceof FailedPreconditionError ||
            status === undefined ||
            status.state !== undefined)
        ) {
          const why =
            status === undefined || status.state === 'stopped'
              ? `does not run: \`hawser start ${container.id}\` first`
              : `is ${status.state}: \`hawser unpause ${container.id}\` first`;
          throw new CliError(`container ${shortId(container.id)} ${why}`, 1, { cause: error });
        }
        throw startFailure(
          `container ${shortId(container.id)}: exec`,
          { program: args[0], cwd: flags.workdir ?? container.record.spec.process?.cwd },
          error,
        );
      }
    });
    if (detach) return 0;
    const outcome = await converse({
      io: fifoIo(started, interactive),
      exit: started.wait(),
      terminal: tty,
      interactive,
      detachKeys,
      sigProxy: true,
      own: true,
      closeStdin: tty ? undefined : () => started.closeStdin(),
      resize: (size) => started.resize(size),
      kill: (signal) => started.kill(signal),
    });
    if (outcome !== 'detached') {
      await tidied(started);
      return outcome.exitCode;
    }
    process.stderr.write('\r\n');
    return 0;
  });
  if (code !== 0) throw new Exit(code);
}
