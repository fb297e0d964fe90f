/** A shim's author in the OCI runtime's place: everything else about a task is done by the parts of our own shim. */
import { readFileSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { notImplemented, unknown } from '../../api/errdefs.js';
import { containerd } from '../../api/gen/api.js';
import { pack } from '../../api/typeurl.js';
import { Bundle, writeAtomic } from '../../oci/bundle.js';
import { parseExact } from '../../oci/json.js';
import type { ExecLaunch, Launch, ProcessIo, RuntimePort } from '../../runc/index.js';
import { unlessGone } from '../../sys/error.js';
import { isChild } from '../../sys/index.js';
import { TtrpcError } from '../../ttrpc/index.js';
import type { Custom, TaskHandlers } from '../task/custom.js';
import type { Logger } from '../observe/log.js';
import type { ContainerRecord, ProcessRecord } from '../record/record.js';
import { HELD, type Held, type Holder } from './held.js';
import { killInit, writeInit } from './init-file.js';
import { Keeper } from './keeping.js';
import type { Any, CallOptions, Container, Exec, Json, ProcessSpec, Shim, Spec, TaskProcess } from './types.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
const SIGKILL = 9;

/** One process, as its author sees it. */
class Live implements TaskProcess, Holder {
  stdio: readonly number[] = [];
  consoleSocket: string | undefined;
  readonly [HELD]: Held;

  constructor(
    readonly id: string,
    private readonly process: ProcessRecord,
    held: Held = { count: 0 },
  ) {
    this[HELD] = held;
  }

  get terminal(): boolean {
    return this.process.terminal;
  }
  get pid(): number {
    return this.process.pid;
  }

  /** Has the stdio while the work lasts: it is closed after that. */
  async withIo<T>({ stdio, consoleSocket, onSpawn }: ProcessIo, work: () => Promise<T>): Promise<T> {
    this.stdio = stdio ?? [];
    this.consoleSocket = consoleSocket;
    try {
      const result = await work();
      onSpawn?.();
      return result;
    } finally {
      this.stdio = [];
      this.consoleSocket = undefined;
    }
  }
}

class LiveContainer extends Live implements Container {
  readonly bundle: string;
  #spec: Spec | undefined;

  constructor(
    readonly record: ContainerRecord,
    readonly namespace: string,
    readonly options: Any | undefined,
  ) {
    super(record.id, record.init);
    this.bundle = new Bundle(record.bundle).path;
  }

  /** Read when it is first asked for: after a sleep nobody may, and the bundle may be gone. */
  get spec(): Spec {
    return (this.#spec ??= new Bundle(this.bundle).spec() as Spec);
  }
  get rootfs(): string {
    return resolve(this.bundle, this.spec.root?.path || 'rootfs');
  }

  /** All of its processes begin as what they are. */
  get isHeld(): boolean {
    return this[HELD].count > 0;
  }
}

class LiveExec extends Live implements Exec {
  constructor(
    id: string,
    record: ProcessRecord,
    readonly spec: ProcessSpec,
    held: Held,
  ) {
    super(id, record, held);
  }
}

/** The calls that a container makes of its runtime, answered by the author. */
class AuthoredRuntime implements RuntimePort, CallOptions {
  readonly #name: string;

  constructor(
    private readonly shim: Shim,
    private readonly around: Around,
    private readonly container: LiveContainer,
    readonly signal: AbortSignal,
  ) {
    this.#name = around.name;
  }

  async create({ io, pidFile }: Launch): Promise<number> {
    const { container } = this;
    const pid = await this.#ask('create', () => container.withIo(io, async () => this.shim.create(container, this)));
    this.#check('create', pid);
    writeInit(container.bundle, pid);
    writeAtomic(pidFile, String(pid), 0o644);
    // What outlives the init is killed then; in a pid namespace of its own the kernel does it.
    container.record.sharesPidNamespace = pidNamespace(pid) === pidNamespace(process.pid);
    return pid;
  }

  async start(): Promise<void> {
    await this.#ask('start', async () => this.shim.start(this.container, this));
  }

  async exec({ exec: id, spec, io, signal }: ExecLaunch): Promise<number> {
    const exec = new LiveExec(id, this.container.record.execs[id]!, spec, this.container[HELD]);
    const call = { signal: signal ?? this.signal };
    const pid = await this.#ask('exec', () => exec.withIo(io, async () => this.shim.exec!(this.container, exec, call)));
    this.#check('exec', pid);
    return pid;
  }

  async kill(_container: string, signal: number, { all }: { all: boolean }): Promise<void> {
    await this.#ask('kill', async () => this.shim.kill(this.container, signal, { all }));
  }

  /** With `force` for a container whose making has failed. One that was never started has an init yet, as with runc. */
  async delete(): Promise<void> {
    const { container } = this;
    if (container.record.init.exitedAt === undefined && container.pid > 0) {
      await this.#ask('kill', async () => this.shim.kill(container, SIGKILL, { all: true })).catch((error: unknown) => {
        this.around.log.warn('killing a container before it is deleted failed', { id: container.id, error });
      });
    }
    await this.#ask('delete', async () => this.shim.delete(container));
  }

  async pause(): Promise<void> {
    await this.#ask('pause', async () => this.shim.pause!(this.container));
  }

  async resume(): Promise<void> {
    await this.#ask('resume', async () => this.shim.resume!(this.container));
  }

  async update(_container: string, resources: Uint8Array): Promise<void> {
    const parsed = parseExact(Buffer.from(resources).toString('utf8')) as Record<string, unknown>;
    await this.#ask('update', async () => this.shim.update!(this.container, parsed));
  }

  ps(): Promise<number[]> {
    const { init, execs } = this.container.record;
    const live = [init, ...Object.values(execs)].filter(({ pid, exitedAt }) => pid > 0 && exitedAt === undefined);
    return Promise.resolve(live.map(({ pid }) => pid));
  }

  checkpoint(): Promise<void> {
    return Promise.reject(notImplemented(`checkpoint of ${this.#name}`));
  }

  restore(): Promise<number> {
    return Promise.reject(notImplemented(`restore of ${this.#name}`));
  }

  /** Says who failed at what; an error that has a class keeps it. What hangs is left behind when the signal aborts. */
  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    let stop: () => void = () => undefined;
    const over = new Promise<never>((_, reject) => {
      stop = () => reject(new Error('it did not end in time', { cause: this.signal.reason }));
      if (this.signal.aborted) stop();
      else this.signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([work(), over]);
    } catch (error) {
      if (error instanceof TtrpcError) throw error;
      const text = error instanceof Error ? error.message : String(error);
      this.around.log.error(`${what} failed`, {
        id: this.container.id,
        error: text,
        stack: (error as Error | undefined)?.stack,
      });
      throw unknown(`${this.#name}: ${what} failed: ${text}`, error);
    } finally {
      this.signal.removeEventListener('abort', stop);
    }
  }

  #check(what: string, pid: unknown): void {
    if (typeof pid === 'number' && Number.isInteger(pid) && pid > 0 && isChild(pid)) return;
    throw unknown(
      `${this.#name}: ${what} failed: it gave ${String(pid)}, which is the pid of no child process of this shim; use startProcess or holdProcess`,
    );
  }
}

/** What is left of a container besides its record. */
interface LeftContainer {
  readonly kept: Json;
  /** The client's; the value in base64. */
  readonly options?: { readonly type: string; readonly value: string };
}

interface Around {
  name: string;
  namespace: string;
  log: Logger;
  /** Called when everything is ready to be served. */
  onServing: () => void;
}

/** What of the Task service is the author's. */
export function authored(shim: Shim, around: Around): Custom {
  const containers = new WeakMap<ContainerRecord, LiveContainer>();
  const byId = new Map<string, LiveContainer>();
  /** Of the Create at hand; its container is made before it first waits for anything. */
  let options: Any | undefined;
  let isCreating = false;
  const refuse = (what: string) => (): never => {
    throw notImplemented(`${around.name} has no ${what}`);
  };
  const add = (record: ContainerRecord, given: Any | undefined): LiveContainer => {
    const container = new LiveContainer(record, around.namespace, given);
    containers.set(record, container);
    byId.set(record.id, container);
    return container;
  };
  const addNew = (record: ContainerRecord): LiveContainer => {
    const container = add(record, options);
    // One that cannot be read is to be known of at once.
    if (isCreating) void container.spec;
    return container;
  };
  const keeper = new Keeper<Container>(shim.sleeps, around.name, around.log);
  return {
    staysAwake: keeper.staysAwake,
    rest(record, leaving): LeftContainer {
      const container = containers.get(record)!;
      if (container.isHeld) leaving.underWay(`a process of ${record.id} is held until its start`);
      const { options } = container;
      return {
        kept: keeper.record(record.id, () => container),
        ...(options && {
          options: { type: options.type_url ?? '', value: Buffer.from(options.value ?? []).toString('base64') },
        }),
      };
    },
    resume(record, left) {
      const { kept, options: given } = left as LeftContainer;
      const container = add(record, given && { type_url: given.type, value: Buffer.from(given.value, 'base64') });
      keeper.restore(record.id, () => container, kept);
    },
    async undo({ id, bundle }) {
      const pid = killInit(bundle);
      await shim.cleanup?.({ id, namespace: around.namespace, bundle, pid });
    },
    runtime(record, signal) {
      return new AuthoredRuntime(shim, around, containers.get(record) ?? addNew(record), signal);
    },
    hasCgroup,
    handlers(inner) {
      around.onServing();
      const own: Partial<Mutable<TaskHandlers>> = {
        Create(request, context) {
          if (request.checkpoint) throw notImplemented(`${around.name} has no restore`);
          options = request.options ?? undefined;
          isCreating = true;
          try {
            request.options = ownOptions(request.bundle);
            return inner.Create(request, context);
          } finally {
            options = undefined;
            isCreating = false;
          }
        },
        async Delete(request, context) {
          const container = byId.get(request.id);
          const reply = await inner.Delete(request, context);
          if (!request.execId && byId.get(request.id) === container) byId.delete(request.id);
          return reply;
        },
        Checkpoint: refuse('checkpoint'),
        Stats: shim.stats
          ? async (request, context) => {
              await inner.State({ id: request.id, execId: '' }, context);
              return { stats: await shim.stats!(byId.get(request.id)!) };
            }
          : refuse('stats'),
      };
      if (shim.pids) {
        own.Pids = async (request, context) => {
          await inner.State({ id: request.id, execId: '' }, context);
          return { processes: (await shim.pids!(byId.get(request.id)!)).map((pid) => ({ pid })) };
        };
      }
      if (!shim.exec) own.Exec = refuse('exec');
      if (!shim.pause) own.Pause = refuse('pause');
      if (!shim.resume) own.Resume = refuse('resume');
      if (!shim.update) own.Update = refuse('update');
      return { ...inner, ...own };
    },
  };
}

/** The client's options are for the author; of runc's own only the state directory counts, for which there is no runc. */
function ownOptions(bundle: string): Any {
  return pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root: join(bundle, 'state') });
}

/** A process that shares the shim's cgroup has none that would tell anything of the container. */
function hasCgroup(pid: number): boolean {
  const differs = (): boolean =>
    readFileSync(`/proc/${pid}/cgroup`, 'utf8') !== readFileSync('/proc/self/cgroup', 'utf8');
  return unlessGone(differs) ?? false;
}

/** Undefined for a process that has ended. */
function pidNamespace(pid: number): string | undefined {
  return unlessGone(() => readlinkSync(`/proc/${pid}/ns/pid`));
}
