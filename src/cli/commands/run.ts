/** hawser run: makes a container and starts it, with this terminal or without. */
import type { Container } from '../../client/index.js';
import type { Globals } from '../address.js';
import { checkAutoRemove, removeWhenEnded } from '../container/auto-remove.js';
import { converse, firstSize } from '../container/converse.js';
import { remove, settle } from '../container/end.js';
import { fifoIo, logIo, OUTPUTS } from '../container/io.js';
import { launchForeground, launchLogged, UNLOGGED, type Launched } from '../container/launch.js';
import { makeContainer } from '../container/make.js';
import { CliError, Exit, FAILED, UsageError } from '../errors.js';
import { LABEL } from '../labels.js';
import { logPlace } from '../../client/log/place.js';
import { logTarget } from '../options/log.js';
import { LogWriter } from '../log/writer.js';
import { attachedStreams, type Stream } from '../options/attach.js';
import { isRestarted } from '../options/restart.js';
import type { RunFlags } from '../program/run-flags.js';
import { Session, withSession } from '../session.js';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../terminal/detach-keys.js';
import { HeldSignals } from '../terminal/held.js';
import { interruptible } from '../terminal/interrupt.js';

export async function runCommand(words: readonly string[], flags: RunFlags, globals: Globals): Promise<void> {
  const streams = attachedStreams(flags);
  const detachKeys = parseDetachKeys(flags.detachKeys ?? DEFAULT_DETACH_KEYS);
  if (flags.tty && flags.interactive && !flags.detach && !process.stdin.isTTY)
    throw new UsageError('run -t -i: standard input is no terminal: leave out -t', 'run');
  if (flags.rm && (flags.detach || flags.tty)) checkAutoRemove();
  const code = await withSession(globals, async (session) => {
    const logged = isLogged(flags, streams);
    const { container, started } = await interruptible(async (signal) => {
      const made = await makeContainer(session, words, flags, { logged, kept: true, signal });
      try {
        return { container: made, started: await startIt(made, flags, { logged, streams, signal }) };
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
    // As docker has it: who sees nothing of it is told which it is.
    if (!streams.has('stdout') && !streams.has('stderr')) process.stdout.write(`${container.id}\n`);
    return accompany(session, container, started, { flags, detachKeys, streams });
  });
  if (code !== 0) throw new Exit(code);
}

/**
 * Whether its shim writes the log, from which is shown what is to be shown. Else it comes to this command, which keeps the log.
 *
 * @throws UsageError when the log cannot tell what is to be shown from what is not
 */
function isLogged(flags: RunFlags, streams: ReadonlySet<Stream>): boolean {
  const { detach = false, tty = false, restart = 'no', logDriver, logOpt } = flags;
  // Where it would be by default says nothing of it.
  const target = logTarget(logDriver, logOpt, '/log');
  // Whoever starts it again knows nothing of this command.
  const outlives = detach || restart !== 'no';
  if (target === undefined) return outlives;
  const logged =
    outlives ||
    // Who detaches from a terminal comes back to it: its output is kept meanwhile.
    tty ||
    logDriver !== undefined ||
    logOpt?.some((option) => /^(path|format)=/.test(option)) === true ||
    // Nothing of it is shown: then it needs nobody who reads it.
    !(streams.has('stdout') || streams.has('stderr'));
  const isOne = streams.has('stdout') !== streams.has('stderr');
  if (logged && !tty && isOne && logPlace(target.uri)?.hasEntries !== true)
    throw new UsageError(
      '--attach: its log has both outputs as one: name stdout and stderr, or have it keep them apart, by --log-opt format=cri',
      'run',
    );
  return logged;
}

function startIt(
  container: Container,
  flags: RunFlags,
  { logged, streams, signal }: { logged: boolean; streams: ReadonlySet<Stream>; signal: AbortSignal },
): Promise<Launched | undefined> {
  const launch = {
    streams,
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
  /** Default: all of them. */
  readonly streams?: ReadonlySet<Stream> | undefined;
}

/** Shows what it prints until it ends, and then takes away what is to go. @returns the exit status for this command */
export async function accompany(
  session: Session,
  container: Container,
  started: Launched | undefined,
  { flags, detachKeys, seen, streams = attachedStreams({}) }: Company,
): Promise<number> {
  const first = started?.process ?? container.process;
  if (first === undefined) throw new CliError(`container ${container.id} has no process to show`, FAILED);
  const { tty = false, rm = false } = flags;
  const interactive = flags.interactive === true && streams.has('stdin');
  const logged = started?.logged ? started : undefined;
  const shown = OUTPUTS.filter((stream) => streams.has(tty ? 'stdout' : stream));
  const io = logged
    ? logIo(logged.log, { stdin: interactive ? logged.stdin : undefined, from: logged.from, shown })
    : fifoIo(first, interactive, { log: started === undefined ? keeper(container) : undefined, shown });
  const held = new HeldSignals();
  try {
    const outcome = await converse({
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
      afterExit: async () => {
        // What is left to do is done, whoever wants this command to end now.
        if (rm) held.hold();
        // One that is started again has another task by now.
        if (!logged || isRestarted(container.record.labels)) return false;
        // Its log is complete when its task is gone.
        await settle(container);
        return true;
      },
    });
    if (outcome === 'detached') {
      if (rm) leaveIt(session, container, first.pid);
      // The shell's prompt is to stand on a line of its own.
      process.stderr.write(started?.logged === false ? `\r\nhawser: container ${container.id}: ${UNLOGGED}\n` : '\r\n');
      return 0;
    }
    if (rm) await Promise.race([remove(session, container, { force: true, volumes: true }), held.insisted]);
    else if (!logged) await settle(container);
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof Exit && rm) leaveIt(session, container, first.pid);
    throw error;
  } finally {
    held.release();
  }
}

/** Of what comes to this command there is a log, too, unless it was made with none. */
function keeper({ id, record }: Container): LogWriter | undefined {
  const place = logPlace(record.labels[LABEL.log] ?? '');
  return place?.hasEntries === true
    ? new LogWriter(place, (text) => process.stderr.write(`hawser: container ${id}: ${text}\n`))
    : undefined;
}

/** It goes on without us; when it has ended it is removed. */
function leaveIt(session: Session, container: Container, pid: number): void {
  removeWhenEnded(session, container.id, pid);
}
