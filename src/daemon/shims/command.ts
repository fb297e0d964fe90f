/** Runs a shim's binary for one of its actions, which are all short. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { OutputCapture } from '../../runc/capture.js';
import { execFailure, makeMemfd, spawn } from '../../sys/index.js';

export interface ShimRun {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it reads; nothing unless given. */
  readonly input?: Uint8Array | undefined;
  /** Puts what it writes to standard error with the rest, as containerd does for `start`. */
  readonly merged?: boolean;
  /** It is killed with its process group after this many milliseconds. */
  readonly timeoutMs: number;
  /** It is killed when this aborts. */
  readonly signal?: AbortSignal | undefined;
}

export interface ShimResult {
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs it to its end. Its output is what it has written by then: whoever inherited its descriptors is not waited for.
 *
 * @throws Error with what it wrote, when it fails, is killed for its slowness, or cannot be run at all
 */
export async function runShim(file: string, run: ShimRun): Promise<ShimResult> {
  run.signal?.throwIfAborted();
  const stdin = run.input?.length ? inputFile(run.input) : openSync('/dev/null', 'r');
  const out = new OutputCapture();
  const errors = run.merged ? out : new OutputCapture();
  let child;
  try {
    // It must not go on when the daemon is gone: what it was run for is done anew after a restart.
    child = spawn(file, [file, ...run.args], {
      stdio: [stdin, out.writer, errors.writer],
      cwd: run.cwd,
      env: run.env,
      ownGroup: true,
      dieWithParent: true,
    });
  } catch (error) {
    out.finish();
    errors.finish();
    throw execFailure(file, error);
  } finally {
    closeSync(stdin);
  }
  out.handedOver();
  errors.handedOver();

  let why: string | undefined;
  const kill = (reason: string): void => {
    why ??= reason;
    killGroup(child.pid);
  };
  const timer = setTimeout(
    () => kill(`${file} gave no answer within ${run.timeoutMs / 1000} s and was killed`),
    run.timeoutMs,
  );
  const aborted = (): void => kill('context canceled');
  run.signal?.addEventListener('abort', aborted);
  const status = await child.exited;
  clearTimeout(timer);
  run.signal?.removeEventListener('abort', aborted);

  const stdout = out.finishBytes();
  const stderr = run.merged ? '' : errors.finish();
  const said = (run.merged ? stdout.toString() : stderr).trim();
  if (why !== undefined) throw new Error(said === '' ? why : `${why}; it printed: ${said}`);
  if (status !== 0)
    throw new Error(
      `${said === '' ? file : said}: ${status > 128 ? `signal ${status - 128}` : `exit status ${status}`}`,
    );
  return { stdout, stderr };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Not a pipe, which would have to be written while it is read. */
function inputFile(bytes: Uint8Array): number {
  const fd = makeMemfd('shim-options');
  writeSync(fd, bytes, 0, bytes.length, 0);
  return fd;
}
