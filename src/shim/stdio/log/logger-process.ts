/** One run of a logging binary, from its start to its end (contract §6.6, `binary://`). */
import { closeSync, constants as files, openSync, readFileSync } from 'node:fs';
import {
  execFailure,
  makePipe,
  onExit,
  READABLE,
  setNonblock,
  spawn,
  tryRead,
  Watch,
  type Child,
  type ExitStatus,
} from '../../../sys/index.js';
import { settled } from '../settle.js';
import type { LoggerSettings } from './settings.js';

/** How long it may take to end after a SIGTERM (contract appendix B). */
const TERM_MS = 12_000;
/** In the flags of /proc/PID/stat: the process has begun to exit. */
const PF_EXITING = 0x4;

export interface LoggerIdentity {
  /** Of the container, or of the exec whose output it is. */
  id: string;
  namespace: string;
}

export class LoggerProcess {
  /** Set once it has ended. */
  status: ExitStatus | undefined;

  private constructor(
    private readonly settings: LoggerSettings,
    readonly child: Child,
    status?: ExitStatus,
  ) {
    this.status = status;
    void child.exited.then((ended) => (this.status = ended));
  }

  /** Goes on with one that another process has started, and that has ended since, or has a status already. */
  static resume(settings: LoggerSettings, pid: number, status: ExitStatus | undefined): LoggerProcess {
    const exited =
      status === undefined ? new Promise<ExitStatus>((resolve) => onExit(pid, resolve)) : Promise.resolve(status);
    return new LoggerProcess(settings, { pid, exited }, status);
  }

  /**
   * Starts it with the read ends of the two streams, which stay the caller's; see ready().
   *
   * @throws when it cannot be executed
   */
  static start(
    settings: LoggerSettings,
    who: LoggerIdentity,
    stdout: number,
    stderr: number,
  ): { process: LoggerProcess; ready: Promise<void> } {
    const nowhere = openSync('/dev/null', files.O_RDWR);
    const signal = makePipe();
    try {
      const child = spawn(settings.file, [settings.file, ...settings.args], {
        stdio: [nowhere, nowhere, nowhere, stdout, stderr, signal.write],
        env: { CONTAINER_ID: who.id, CONTAINER_NAMESPACE: who.namespace },
        // It outlives a shim that is killed, for the sake of what still lies in the pipes, and ends with those.
        dieWithParent: false,
        ownGroup: true,
      });
      const logger = new LoggerProcess(settings, child);
      return { process: logger, ready: logger.#ready(signal.read) };
    } catch (error) {
      closeSync(signal.read);
      throw new Error(`failed to start binary process: ${execFailure(settings.file, error).message}`, { cause: error });
    } finally {
      closeSync(nowhere);
      closeSync(signal.write);
    }
  }

  /** SIGTERM, and SIGKILL when that does not end it. What it leaves running gets a SIGTERM, too. */
  async stop(): Promise<{ killed: boolean }> {
    const { child } = this;
    // By now its number may be somebody else's.
    if (this.status !== undefined) return { killed: false };
    this.#signal(child.pid, 'SIGTERM');
    const killed = !(await settled(TERM_MS, child.exited));
    if (killed) this.#signal(-child.pid, 'SIGKILL');
    await child.exited;
    this.#signal(-child.pid, 'SIGTERM');
    return { killed };
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // Nobody is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Resolves when it has said that it is ready; otherwise it is killed, and its end awaited. */
  async #ready(signal: number): Promise<void> {
    try {
      const sign = await this.#sign(signal);
      if (sign === 'byte') return;
      // Its exit closes the descriptor, too; it is marked as exiting before that.
      if (sign === 'end' && this.status === undefined && isExiting(this.child.pid)) await this.child.exited;
      if (sign === 'end' && !this.settings.mustSignal && !this.status) return;
      throw this.#notReady(sign);
    } catch (error) {
      this.#signal(-this.child.pid, 'SIGKILL');
      await this.child.exited;
      throw error;
    }
  }

  #notReady(sign: 'end' | 'late'): Error {
    const { file, readyMs, mustSignal } = this.settings;
    if (sign === 'late')
      return new Error(
        `logging binary ${file} did not call ready within ${readyMs / 1000} s; it ${mustSignal ? 'has to write a byte to' : 'has to close'} descriptor 5`,
      );
    const how = this.status === undefined ? '' : `: ${file} ended with status ${this.status}`;
    return new Error(`logging binary did not call ready (it may have crashed or exited prematurely)${how}`);
  }

  /** What came first: a byte, the end of the pipe or of a process that failed, or the end of the time. */
  async #sign(fd: number): Promise<'byte' | 'end' | 'late'> {
    const byte = Buffer.alloc(1);
    let open = true;
    let watch: Watch | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      setNonblock(fd, true);
      const look = (): 'byte' | 'end' | undefined => {
        const n = tryRead(fd, byte);
        return n === undefined ? undefined : n === 0 ? 'end' : 'byte';
      };
      return await new Promise((resolve) => {
        watch = new Watch(fd, () => {
          const sign = look();
          if (sign) resolve(sign);
        });
        watch.want(READABLE);
        timer = setTimeout(() => resolve('late'), this.settings.readyMs);
        // One that ends well may have left somebody to go on, who has the pipe.
        void this.child.exited.then((status) => {
          if (status !== 0 && open) resolve(look() ?? 'end');
        });
      });
    } finally {
      clearTimeout(timer);
      watch?.close();
      open = false;
      closeSync(fd);
    }
  }
}

function isExiting(pid: number): boolean {
  // It is our child and has not been collected: it is there, if only as a zombie.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' || (Number(fields[6]) & PF_EXITING) !== 0;
}
