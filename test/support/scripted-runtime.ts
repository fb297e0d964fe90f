/** A runtime, and a machine, in which nothing happens until a test says so. */
import type { ExecLaunch, Launch, RuntimePort } from '../../src/runc/index.js';
import type { Host } from '../../src/shim/task/host.js';
import type { Stdio } from '../../src/shim/stdio/index.js';

const SIGKILL = 9;

/** Something that the container waits for. */
export interface Pending {
  /** `create`, `exec`, …; `attach` and `read` of a process's streams. */
  readonly name: string;
  /** Of which exec; undefined for the init. */
  readonly exec: string | undefined;
  /** It is done, if it can be. */
  succeed(): void;
  fail(): void;
}

interface Child {
  readonly callbacks: ((status: number) => void)[];
  /** Undefined while it lives. */
  status: number | undefined;
  /** It has been sent SIGKILL. */
  isDying: boolean;
}

/** Processes, an out-of-memory counter, and streams whose clients read when they are told to. */
export class ScriptedMachine implements Host {
  /** Oldest first. */
  readonly pending: Pending[] = [];
  readonly #children = new Map<number, Child>();
  #nextPid = 1000;
  #clock = 1;
  /** What watches for want of memory, if something does. */
  #memory: { unseen: number; killed: () => void } | undefined;

  /** @param isSlow whether clients have output to read when a process has ended */
  constructor(private readonly isSlow: boolean) {}

  /** Waits until the test says that it is done, or has failed, or the signal aborts. */
  ask<T>(name: string, exec: string | undefined, done: () => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (work: () => void): void => {
        const at = this.pending.indexOf(entry);
        if (at < 0) return;
        this.pending.splice(at, 1);
        work();
      };
      const entry: Pending = {
        name,
        exec,
        succeed: () =>
          settle(() => {
            try {
              resolve(done());
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)));
            }
          }),
        fail: () => settle(() => reject(new Error(`${name} failed, as the test says`))),
      };
      this.pending.push(entry);
      const killed = (): void => settle(() => reject(new Error(`${name} was killed`)));
      if (signal?.aborted) killed();
      else signal?.addEventListener('abort', killed, { once: true });
    });
  }

  spawn(): number {
    const pid = this.#nextPid++;
    this.#children.set(pid, { callbacks: [], status: undefined, isDying: false });
    return pid;
  }

  /** Those that have not ended. */
  get living(): number[] {
    return [...this.#children].filter(([, { status }]) => status === undefined).map(([pid]) => pid);
  }

  /** Those of them that have been killed. */
  get dying(): number[] {
    return this.living.filter((pid) => this.#children.get(pid)!.isDying);
  }

  exit(pid: number, status: number): void {
    const child = this.#children.get(pid)!;
    child.status = status;
    for (const callback of child.callbacks.splice(0)) callback(status);
  }

  /**
   * The kernel kills for want of memory.
   *
   * @param isTold the container is told of it at once, not only when it looks
   * @returns whether that can be known
   */
  outOfMemory(isTold: boolean): boolean {
    if (!this.#memory) return false;
    this.#memory.unseen++;
    if (isTold) this.#lookAtMemory();
    return true;
  }

  #lookAtMemory(): void {
    if (!this.#memory?.unseen) return;
    this.#memory.unseen = 0;
    this.#memory.killed();
  }

  isChild(pid: number): boolean {
    return this.#children.has(pid);
  }

  onExit(pid: number, seen: (status: number) => void): void {
    const child = this.#children.get(pid)!;
    const { status } = child;
    if (status === undefined) child.callbacks.push(seen);
    else setImmediate(() => seen(status));
  }

  signal(pid: number, signal: number): void {
    const child = this.#children.get(pid);
    if (child?.status !== undefined || !child) throw Object.assign(new Error('no such process'), { code: 'ESRCH' });
    if (signal === SIGKILL) child.isDying = true;
  }

  expectMigration(): void {
    // Nobody waits for anything here.
  }

  now(): number {
    return this.#clock++;
  }

  cgroupsOf(pid: number): { version: 2; dir: string } {
    if (!this.living.includes(pid)) throw new Error(`process ${pid} is gone`);
    return { version: 2, dir: '/nowhere' };
  }

  watchMemory(_cgroup: unknown, killed: () => void): { look(): void; stop(): void; rest(): undefined } {
    this.#memory = { unseen: 0, killed };
    return {
      look: () => this.#lookAtMemory(),
      stop: () => {
        this.#lookAtMemory();
        this.#memory = undefined;
      },
      rest: () => undefined,
    };
  }

  resumeMemory(): never {
    throw new Error('nothing of this machine is left to another process');
  }

  resumeStdio(): never {
    throw new Error('nothing of this machine is left to another process');
  }

  openStdio({ id }: { id: string }): Promise<Stdio> {
    const nothing = (): void => undefined;
    return Promise.resolve({
      given: [],
      consoleSocket: undefined,
      handedOver: nothing,
      printed: () => '',
      attach: () => this.ask('attach', id, nothing),
      beforeStart: nothing,
      closeStdin: nothing,
      resize: nothing,
      processExited: nothing,
      beingRead: () => (this.isSlow ? this.ask('read', id, nothing) : undefined),
      drained: () => Promise.resolve(true),
      close: () => Promise.resolve(),
      rest: () => {
        throw new Error('nothing of this machine is left to another process');
      },
      describe: () => ({}),
    });
  }
}

/** Its calls end when the test says so; those that make or kill processes do so then. */
export class ScriptedRuntime implements RuntimePort {
  /**
   * @param init shared by all runtimes of one container: its pid, 0 before it is made
   * @param hasOwnPids whether no process of the container outlives the init
   */
  constructor(
    private readonly machine: ScriptedMachine,
    private readonly init: { pid: number },
    private readonly hasOwnPids: boolean,
    private readonly signal: AbortSignal,
  ) {}

  create(_launch: Launch): Promise<number> {
    return this.#ask('create', () => (this.init.pid = this.machine.spawn()));
  }

  restore(_launch: Launch): Promise<number> {
    return this.#ask('restore', () => (this.init.pid = this.machine.spawn()));
  }

  exec({ exec, signal }: ExecLaunch): Promise<number> {
    return this.machine.ask(
      'exec',
      exec,
      () => {
        // Where it shares its pids with others, an exec that was on its way gets there.
        if (this.hasOwnPids) this.#needInit();
        return this.machine.spawn();
      },
      signal ?? this.signal,
    );
  }

  start(): Promise<void> {
    return this.#ask('start', () => this.#needInit());
  }

  kill(_container: string, signal: number): Promise<void> {
    return this.#ask('kill', () => {
      this.#needInit();
      this.machine.signal(this.init.pid, signal);
    });
  }

  delete(): Promise<void> {
    return this.#ask('delete', () => {
      if (this.#initLives()) this.machine.signal(this.init.pid, SIGKILL);
    });
  }

  pause(): Promise<void> {
    return this.#ask('pause', () => this.#needInit());
  }

  resume(): Promise<void> {
    return this.#ask('resume', () => undefined);
  }

  update(): Promise<void> {
    return this.#ask('update', () => undefined);
  }

  checkpoint(): Promise<void> {
    return this.#ask('checkpoint', () => undefined);
  }

  ps(): Promise<number[]> {
    return this.#ask('ps', () => this.machine.living);
  }

  #ask<T>(name: string, done: () => T): Promise<T> {
    return this.machine.ask(name, undefined, done, this.signal);
  }

  #initLives(): boolean {
    return this.machine.living.includes(this.init.pid);
  }

  #needInit(): void {
    if (!this.#initLives()) throw new Error('container not running');
  }
}
