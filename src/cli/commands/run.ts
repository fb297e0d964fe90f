/** hawser run: makes a container and starts it, with this terminal or without. */
import type { Container } from '../../client/index.js';
import type { Globals } from '../address.js';
import { checkAutoRemove, removeWhenEnded } from '../container/auto-remove.js';
import { converse, firstSize } from '../container/converse.js';
import { remove, settle } from '../container/end.js';
import { fifoIo, logIo } from '../container/io.js';
import { launchForeground, launchLogged, UNLOGGED, type Launched } from '../container/launch.js';
import { makeContainer } from '../container/make.js';
import { CliError, Exit, FAILED, UsageError } from '../errors.js';
import { isRestarted } from '../options/restart.js';
import type { RunFlags } from '../program/run-flags.js';
import { Session, withSession } from '../session.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';
import { interruptible } from '../terminal/interrupt.js';

export async function runCommand(words: readonly string[], flags: RunFlags, globals: Globals): Promise<void> {
  const detachKeys = parseDetachKeys(flags.detachKeys ?? DEFAULT_DETACH_KEYS);
  if (flags.tty && flags.interactive && !flags.detach && !process.stdin.isTTY)
    throw new UsageError('run -t -i: standard input is no terminal: leave out -t', 'run');
  if (flags.rm && (flags.detach || flags.tty)) checkAutoRemove();
  const code = await withSession(globals, async (session) => {
    // Who detaches from a terminal comes back to it: its output is kept meanwhile.
    const logged =
      flags.detach === true || flags.tty === true || flags.logDriver !== undefined || (flags.restart ?? 'no') !== 'no';
    const { container, started } = await interruptible(async (signal) => {
      const made = await makeContainer(session, words, flags, { logged, signal });
      try {
        return { container: made, started: await startIt(made, flags, logged, signal) };
      } catch (error) {
        // docker leaves it as created, and in the way of the next attempt.
        await remove(session, made, { force: true, volumes: true });
        throw error;
      }
    });
    if (flags.detach) {
      if (flags.rm) removeWhenEnded(session, container.id, container.process!.pid);
      if (started?.logged === false) process.stderr.write(`hawser: container ${container.id}: ${UNLOGGED}\n`);
      process.stdout.write(`${container.id}\n`);
      return 0;
    }
    return accompany(session, container, started, { flags, detachKeys });
  });
  if (code !== 0) throw new Exit(code);
}

function startIt(
  container: Container,
  flags: RunFlags,
  logged: boolean,
  signal: AbortSignal,
): Promise<Launched | undefined> {
  const launch = {
    interactive: flags.interactive === true,
    size: firstSize(flags.tty === true),
    pidfile: flags.pidfile,
    signal,
  };
  return logged ? launchLogged(container, launch) : launchForeground(container, launch).then(() => undefined);
}

interface Company {
  readonly flags: Pick<RunFlags, 'rm' | 'interactive' | 'tty' | 'sigProxy'>;
  readonly detachKeys: Buffer;
  readonly seen?: (() => void) | undefined;
}

/** Shows what it prints until it ends, and then takes away what is to go. @returns the exit status for this command */
export async function accompany(
  session: Session,
  container: Container,
  started: Launched | undefined,
  { flags, detachKeys, seen }: Company,
): Promise<number> {
  const first = started?.process ?? container.process;
  if (first === undefined) throw new CliError(`container ${container.id} has no process to show`, FAILED);
  const { tty = false, interactive = false, rm = false } = flags;
  const logged = started?.logged ? started : undefined;
  const io = logged
    ? logIo(logged.log, interactive ? logged.stdin : undefined, logged.from)
    : fifoIo(first, interactive);
  let outcome;
  try {
    outcome = await converse({
      io,
      exit: first.wait(),
      terminal: tty,
      interactive,
      detachKeys,
      sigProxy: flags.sigProxy ?? true,
      seen,
      own: true,
      closeStdin: tty
        ? undefined
        : async () => {
            if (logged) io.input?.end();
            await first.closeStdin();
          },
      resize: (size) => container.resizeTerminal(size),
      kill: (signal) => first.kill(signal),
      // Its log is complete when its task is gone.
      afterExit: logged
        ? async () => {
            // One that is started again has another task by now.
            if (isRestarted(container.record.labels)) return false;
            await settle(container);
            return true;
          }
        : undefined,
    });
  } catch (error) {
    if (error instanceof Exit && rm) leaveIt(session, container, first.pid);
    throw error;
  }
  if (outcome === 'detached') {
    if (rm) leaveIt(session, container, first.pid);
    // The shell's prompt is to stand on a line of its own.
    process.stderr.write(started?.logged === false ? `\r\nhawser: container ${container.id}: ${UNLOGGED}\n` : '\r\n');
    return 0;
  }
  if (rm) await remove(session, container, { force: true, volumes: true });
  else if (!logged) await settle(container);
  return outcome.exitCode;
}

/** It goes on without us; when it has ended it is removed. */
function leaveIt(session: Session, container: Container, pid: number): void {
  removeWhenEnded(session, container.id, pid);
}
