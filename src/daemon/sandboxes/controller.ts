/** Sandboxes that are shims: each is started for its own bundle, and tasks join it later. */
import { errdefs } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { Code, TtrpcError, type ServiceClient } from '../../ttrpc/index.js';
import type { ContainerdRuntimeSandboxV1Sandbox, containerd } from '../../api/full.js';
import type { Sandbox } from '../metadata/types.js';
import type { Runtime } from '../runtime/types.js';
import type { Bootstrap } from '../shims/answer.js';
import { ShimConnection } from '../shims/connection.js';
import type { LogFifo } from '../shims/log-fifo.js';
import { TaskBundle } from '../tasks/bundle.js';
import { prefixed, tolerated } from '../tasks/failure.js';
import { resolveFor, startShim } from '../tasks/launch.js';
import { eachBounded } from '../tasks/limit.js';
import { rootIn, withRoot } from '../tasks/options.js';
import { cleanUp, openLog, type TaskManagerOptions } from '../tasks/remains.js';
import { bundlesIn, removeOrphans } from '../tasks/restart.js';
import { isClosed } from '../tasks/task.js';
import type { SandboxController, SandboxRequest } from './types.js';

type Shim = ServiceClient<typeof ContainerdRuntimeSandboxV1Sandbox>;

const AT_ONCE = 64;

export interface ShimSandboxesOptions extends Pick<
  TaskManagerOptions,
  'dirs' | 'runtimeRoot' | 'launcher' | 'log' | 'timeouts'
> {
  readonly runtime: (name: string) => Runtime;
  /** True for a sandbox that has a record. */
  readonly isRecorded: (namespace: string, id: string) => boolean;
  /** True for the id of a task. */
  readonly isTask: (namespace: string, id: string) => boolean;
}

interface Running {
  readonly bundle: TaskBundle;
  readonly binary: string;
  readonly connection: ShimConnection;
  readonly logFifo: LogFifo;
  /** The daemon ends or ends it: that the connection closes is no sign of death. */
  released: boolean;
  /** It was told to: that the connection closes is what follows. */
  stopped: boolean;
  /** Kept when nothing is left of it. */
  ending: Promise<void> | undefined;
}

/** The sandbox controller `shim`. */
export class ShimSandboxes implements SandboxController {
  readonly #running = new Map<string, Running>();
  readonly #making = new Set<string>();

  constructor(readonly options: ShimSandboxesOptions) {}

  /** Finds those again that an earlier daemon has left, and cleans up after those that have died or that no record tells of. */
  async load(): Promise<void> {
    const { dirs, log } = this.options;
    await eachBounded(bundlesIn(dirs, log), AT_ONCE, async (bundle) => {
      try {
        await this.#load(bundle);
      } catch (error) {
        log.error({ err: error, namespace: bundle.namespace, id: bundle.id }, 'failed to load sandbox');
      }
    });
    await removeOrphans(this.options, this);
  }

  /** Lets go of all; they go on. */
  close(): void {
    for (const running of this.#running.values()) release(running);
  }

  has(namespace: string, id: string): boolean {
    return this.#running.has(key(namespace, id)) || this.#making.has(key(namespace, id));
  }

  /** Where the shim of a sandbox listens; undefined for one without a record, which is no business of ours. */
  place(namespace: string, id: string): Bootstrap | undefined {
    const running = this.#running.get(key(namespace, id));
    if (running !== undefined && running.ending === undefined) return running.bundle.bootstrap();
    if (!this.options.isRecorded(namespace, id)) {
      this.options.log.warn(
        { namespace, id },
        'a container names a sandbox that is not known: it gets a shim by its runtime',
      );
      return undefined;
    }
    throw errdefs.notFound(`can't find shim for sandbox ${id}: it does not run`);
  }

  async create(namespace: string, request: SandboxRequest, signal: AbortSignal): Promise<void> {
    const { id } = request;
    // First of all: a path is made of it.
    checkIdentifier('sandbox id', id);
    const name = key(namespace, id);
    await this.#running.get(name)?.ending;
    if (this.has(namespace, id)) throw errdefs.alreadyExists(`sandbox ${id} already running`);
    if (this.options.isTask(namespace, id)) throw errdefs.alreadyExists(`sandbox ${id}: a task has this id`);
    this.#making.add(name);
    try {
      const running = await this.#launch(namespace, request, signal);
      try {
        const { rootfs, options, netnsPath, annotations } = request;
        await running.connection.sandbox.CreateSandbox(
          { sandboxId: id, bundlePath: running.bundle.path, rootfs, options: options ?? null, netnsPath, annotations },
          { signal },
        );
      } catch (error) {
        await this.#end(running);
        throw prefixed(`failed to create sandbox ${id}`, error);
      }
      this.#add(running);
    } finally {
      this.#making.delete(name);
    }
  }

  async start(namespace: string, id: string): Promise<containerd.runtime.sandbox.v1.StartSandboxResponse> {
    const running = this.#get(namespace, id);
    try {
      return await running.connection.sandbox.StartSandbox({ sandboxId: id });
    } catch (error) {
      await this.#track(running, () => this.#end(running));
      throw prefixed(`failed to start sandbox ${id}`, error);
    }
  }

  async platform(namespace: string, id: string): Promise<containerd.runtime.sandbox.v1.PlatformResponse> {
    return this.#ask(namespace, id, 'failed to get sandbox platform', (shim) => shim.Platform({ sandboxId: id }));
  }

  async stop(namespace: string, id: string, timeoutSecs: number): Promise<void> {
    const running = this.#running.get(key(namespace, id));
    if (running === undefined || running.ending !== undefined) return;
    running.stopped = true;
    try {
      await running.connection.sandbox.StopSandbox({ sandboxId: id, timeoutSecs });
    } catch (error) {
      // One that has gone is stopped.
      if (![Code.NotFound, Code.Unavailable].includes(TtrpcError.from(error).code))
        throw prefixed('failed to stop sandbox', error);
    }
  }

  async wait(
    namespace: string,
    id: string,
    signal: AbortSignal,
  ): Promise<containerd.runtime.sandbox.v1.WaitSandboxResponse> {
    return this.#ask(namespace, id, `failed to wait sandbox ${id}`, (shim) =>
      shim.WaitSandbox({ sandboxId: id }, { signal }),
    );
  }

  async status(
    namespace: string,
    id: string,
    verbose: boolean,
  ): Promise<containerd.runtime.sandbox.v1.SandboxStatusResponse | undefined> {
    const running = this.#running.get(key(namespace, id));
    if (running === undefined || running.ending !== undefined) return undefined;
    return this.#ask(namespace, id, `failed to query sandbox ${id} status`, (shim) =>
      shim.SandboxStatus({ sandboxId: id, verbose }),
    );
  }

  async shutdown(namespace: string, id: string): Promise<void> {
    const running = this.#get(namespace, id);
    if (running.ending === undefined) {
      try {
        await running.connection.sandbox.ShutdownSandbox({ sandboxId: id });
      } catch (error) {
        // Its stop may have ended it just now.
        if (!isClosed(error)) throw prefixed('failed to shutdown sandbox', error);
      }
    }
    await this.#track(running, () => this.#end(running));
  }

  async metrics(namespace: string, id: string): Promise<containerd.types.Metric.$Properties | null | undefined> {
    return (
      await this.#ask(namespace, id, `failed to get metrics of sandbox ${id}`, (shim) =>
        shim.SandboxMetrics({ sandboxId: id }),
      )
    ).metrics;
  }

  async update(namespace: string, id: string, sandbox: Sandbox, fields: string[]): Promise<void> {
    await this.#ask(namespace, id, `failed to update sandbox ${id}`, (shim) =>
      shim.UpdateSandbox({ sandboxId: id, sandbox, fields }),
    );
  }

  #get(namespace: string, id: string): Running {
    const running = this.#running.get(key(namespace, id));
    if (running === undefined) throw errdefs.notFound(`sandbox ${id}: it does not run`);
    return running;
  }

  async #ask<T>(namespace: string, id: string, what: string, call: (shim: Shim) => Promise<T>): Promise<T> {
    const { connection } = this.#get(namespace, id);
    try {
      return await call(connection.sandbox);
    } catch (error) {
      throw prefixed(what, error);
    }
  }

  async #launch(namespace: string, { id, sandbox }: SandboxRequest, signal: AbortSignal): Promise<Running> {
    const { dirs, launcher, log, runtimeRoot } = this.options;
    const runtime = this.options.runtime(sandbox.runtime?.name ?? '');
    const binary = resolveFor(launcher, runtime.shim);
    const old = new TaskBundle(dirs, namespace, id);
    if (old.exists) {
      log.warn({ namespace, id }, 'cleaning up what an earlier sandbox of this id has left');
      await cleanUp(this.options, old, old.shimBinary ?? binary);
      await old.remove();
    }
    const bundle = TaskBundle.create(dirs, namespace, id, sandbox.spec?.value?.length ? sandbox.spec.value : undefined);
    let logFifo: LogFifo | undefined;
    try {
      const options = withRoot(
        sandbox.runtime?.options?.value?.length ? sandbox.runtime.options : runtime.options,
        binary,
        runtimeRoot,
      );
      logFifo = openLog(this.options, bundle);
      bundle.writeShimBinary(binary);
      bundle.writeRoot(rootIn(options) || runtimeRoot);
      const connection = await startShim(launcher, binary, bundle, options, { signal });
      return { bundle, binary, connection, logFifo, released: false, stopped: false, ending: undefined };
    } catch (error) {
      await cleanUp(this.options, bundle, binary);
      logFifo?.close();
      await bundle.remove();
      throw prefixed(`failed to start new shim for sandbox ${id}`, error);
    }
  }

  async #load(bundle: TaskBundle): Promise<void> {
    const { timeouts, log } = this.options;
    const { namespace, id } = bundle;
    const binary = bundle.shimBinary ?? '';
    let logFifo: LogFifo | undefined;
    let connection: ShimConnection | undefined;
    try {
      const bootstrap = bundle.bootstrap();
      if (bootstrap === undefined) throw new Error('it was never started: its bundle holds no address');
      // First the log: a shim that waits for a reader would not answer.
      logFifo = openLog(this.options, bundle);
      connection = await ShimConnection.open(bootstrap, timeouts.load);
      await connection.sandbox.PingSandbox({ sandboxId: id }, { timeoutMs: timeouts.load });
      const running: Running = {
        bundle,
        binary,
        connection,
        logFifo,
        released: false,
        stopped: false,
        ending: undefined,
      };
      if (this.options.isRecorded(namespace, id)) {
        this.#add(running);
        return;
      }
      log.warn({ namespace, id }, 'ending a sandbox that has no record');
      await tolerated(
        connection.sandbox.ShutdownSandbox({ sandboxId: id }, { timeoutMs: timeouts.shutdown }),
        (error) => log.warn({ err: error, namespace, id }, 'failed to shut down sandbox'),
      );
      await this.#end(running);
    } catch (error) {
      log.error({ err: error, namespace, id }, 'cleaning up after a dead sandbox');
      // One that only answers late would wait for ever for somebody to end it.
      await connection?.sandbox
        .ShutdownSandbox({ sandboxId: id }, { timeoutMs: timeouts.shutdown })
        .catch((second: unknown) =>
          log.debug({ err: second, namespace, id }, 'shutting down a sandbox that does not answer failed'),
        );
      connection?.close();
      if (binary !== '') await cleanUp(this.options, bundle, binary);
      logFifo?.close();
      await bundle.remove();
    }
  }

  #add(running: Running): void {
    const { namespace, id } = running.bundle;
    this.#running.set(key(namespace, id), running);
    void running.connection.closed.then(() => {
      if (running.released) return;
      this.options.log[running.stopped ? 'debug' : 'warn'](
        { namespace, id },
        'cleaning up after the shim of a sandbox disconnected',
      );
      this.#track(running, () => this.#end(running)).catch((error: unknown) => {
        this.options.log.error(
          { err: error, namespace, id },
          'failed to clean up after a sandbox; the next one of this id tries again',
        );
      });
    });
  }

  /** Whoever comes second waits for the first; it is known until it is gone. */
  #track(running: Running, end: () => Promise<void>): Promise<void> {
    const { namespace, id } = running.bundle;
    running.ending ??= end().finally(() => this.#running.delete(key(namespace, id)));
    return running.ending;
  }

  /** Asks the shim to end, unless it has containers yet, and removes what is left of the sandbox. */
  async #end(running: Running): Promise<void> {
    const { bundle, binary, connection, logFifo } = running;
    const { timeouts, log } = this.options;
    const { namespace, id } = bundle;
    running.released = true;
    if (!connection.isClosed) {
      await tolerated(connection.task.Shutdown({ id }, { timeoutMs: timeouts.shutdown }), (error) =>
        log.warn({ err: error, namespace, id }, 'failed to shut down the shim of a sandbox'),
      );
    }
    connection.close();
    await cleanUp(this.options, bundle, binary);
    logFifo.close();
    await bundle.remove();
  }
}

function release(running: Running): void {
  running.released = true;
  running.connection.close();
  running.logFifo.close();
}

function key(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
