/** Keeps containers as their labels want them: running or stopped, however they ended, and whoever ended them. */
import type { Logger } from 'pino';
import { containerd, errdefs, millis } from '../../api/full.js';
import type { Spec } from '../../oci/spec.js';
import { Code, TtrpcError } from '../../ttrpc/index.js';
import type { Container, Labels, Metadata } from '../metadata/types.js';
import { NO_IO, type ContainerRuntime, type RunningContainer } from '../tasks/container.js';
import type { TaskIo } from '../tasks/task.js';
import { BackOff } from './back-off.js';
import { isExplicitlyStopped, isToStart, LABELS, logUri, parsePolicy, restartCount } from './policy.js';

const { Status } = containerd.v1.types;
const SIGKILL = 9;
/** How long a client may take from a container's record to its task, and on to its start, before it is done for it. */
const GRACE_MS = 5_000;
/** How long one that is killed may take to end. */
const KILL_MS = 30_000;

export interface RestartMonitorOptions {
  readonly metadata: Pick<Metadata, 'namespaces' | 'containers' | 'snapshotter'>;
  readonly runtime: ContainerRuntime;
  readonly log: Logger;
  /** Between two looks. */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
}

export class RestartMonitor {
  readonly #backOff: BackOff;
  /** Those that something is being done with. */
  readonly #busy = new Map<string, Promise<void>>();
  /** Containers without a task, or whose task is not started, and since when: their client may be about to. */
  readonly #unready = new Map<string, number>();
  #isFirst = true;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: RestartMonitorOptions) {
    this.#backOff = new BackOff(options.intervalMs);
  }

  /** Looks now, and every so often until the daemon ends. */
  async start(): Promise<void> {
    await this.#forgetStops();
    if (this.options.signal.aborted) return;
    this.#timer = setInterval(() => void this.look(), this.options.intervalMs).unref();
    this.options.signal.addEventListener('abort', () => clearInterval(this.#timer), { once: true });
    void this.look();
  }

  /** No look comes after this; what is being done is waited for. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#busy.values());
  }

  /** Sees to every container that is not as its labels want it. Resolves when that is done. */
  async look(): Promise<void> {
    const { metadata, log } = this.options;
    const seen = new Set<string>();
    const [isFirst, begun] = [this.#isFirst, [] as Promise<void>[]];
    this.#isFirst = false;
    for (const namespace of metadata.namespaces.list()) {
      for (const container of this.#lookedAfter(namespace)) {
        const key = `${namespace}/${container.id!}`;
        seen.add(key);
        if (this.#busy.has(key) || this.options.signal.aborted) continue;
        const seeing = this.#see(namespace, container, isFirst)
          .catch((error: unknown) => {
            log.error(
              { err: error, namespace, id: container.id },
              'restarting or stopping a container by its labels failed',
            );
          })
          .finally(() => this.#busy.delete(key));
        this.#busy.set(key, seeing);
        begun.push(seeing);
      }
    }
    for (const key of this.#unready.keys()) if (!seen.has(key)) this.#unready.delete(key);
    this.#backOff.keep(seen);
    // One that hangs holds up no later look, and no other container.
    await Promise.all(begun);
  }

  #lookedAfter(namespace: string): Container[] {
    return this.options.metadata.containers.list(namespace, [`labels.${JSON.stringify(LABELS.status)}`]);
  }

  /** `always` also means after a restart of the daemon, whoever has stopped it before. */
  async #forgetStops(): Promise<void> {
    const { metadata, log } = this.options;
    for (const namespace of metadata.namespaces.list()) {
      for (const { id, labels } of this.#lookedAfter(namespace)) {
        try {
          if (!isExplicitlyStopped(labels ?? {}) || parsePolicy(labels?.[LABELS.policy] ?? '').name !== 'always')
            continue;
          await this.#label(namespace, id!, LABELS.explicitlyStopped, 'false');
        } catch (error) {
          log.error({ err: error, namespace, id }, 'forgetting that a container was stopped failed');
        }
      }
    }
  }

  async #see(namespace: string, container: Container, isFirst: boolean): Promise<void> {
    const id = container.id!;
    const key = `${namespace}/${id}`;
    const labels = container.labels ?? {};
    const task = this.#find(namespace, id);
    const state = await task?.state('', { timeoutMs: this.options.runtime.timeouts.state }).catch(noSuchTask);
    const status = state?.status;
    if (labels[LABELS.status] === 'stopped') {
      if (task && status !== undefined && status !== Status.STOPPED) await this.#stop(task);
      return;
    }
    if (labels[LABELS.status] !== 'running') return;
    if (status === undefined || status === Status.CREATED) {
      const since = this.#unready.get(key) ?? performance.now();
      this.#unready.set(key, since);
      // When the daemon starts, no client has been able to make a task before: what is there is left of an earlier time.
      const isLeft = isFirst && status === undefined;
      if (!isLeft && performance.now() - since < GRACE_MS) return;
    } else if (status !== Status.STOPPED) {
      // It runs, is paused, or its shim does not say.
      this.#unready.delete(key);
      return;
    }
    this.#unready.delete(key);
    if (!isToStart(labels, state?.exitStatus ?? 0) || !this.#backOff.isOver(key)) return;
    this.#backOff.started(key, millis(state?.exitedAt));
    await this.#restart(namespace, container, labels, task);
  }

  async #restart(
    namespace: string,
    container: Container,
    labels: Labels,
    old: RunningContainer | undefined,
  ): Promise<void> {
    const { runtime, metadata, log, signal } = this.options;
    const id = container.id!;
    // Before anything is taken away: its labels may name what cannot be.
    ioOf(container);
    const count = restartCount(labels) + 1;
    await this.#label(namespace, id, LABELS.count, String(count));
    if (old) await this.#stop(old);
    const record = this.#wanted(namespace, id);
    if (!record || signal.aborted) return;
    const { snapshotKey, snapshotter } = record;
    const task = await runtime.create(
      namespace,
      id,
      {
        spec: record.spec?.value ?? new Uint8Array(),
        io: ioOf(record),
        rootfs: snapshotKey ? await metadata.snapshotter(snapshotter ?? '').mounts(namespace, snapshotKey) : [],
        runtime: record.runtime?.name ?? '',
        containerOptions: record.runtime?.options,
        sandbox: record.sandbox ?? '',
      },
      { signal },
    );
    try {
      await task.start('', { signal });
    } catch (error) {
      await runtime
        .delete(task)
        .catch((second: unknown) =>
          log.warn({ err: second, namespace, id }, 'deleting a container that could not be started failed'),
        );
      throw error;
    }
    // A client that removed the container saw no task to remove.
    if (this.#wanted(namespace, id)) log.info({ namespace, id, count }, 'container started again');
    else await this.#stop(task);
  }

  /** The record as it is now; undefined when its client has changed its mind, or removed it, meanwhile. */
  #wanted(namespace: string, id: string): Container | undefined {
    const [record] = this.#lookedAfter(namespace).filter((one) => one.id === id);
    return record?.labels?.[LABELS.status] === 'running' && !isExplicitlyStopped(record.labels) ? record : undefined;
  }

  /** Ends a task, if it has not ended, and removes it. One that is removed by somebody else meanwhile is as good. */
  async #stop(task: RunningContainer): Promise<void> {
    try {
      await task.signal(SIGKILL, { all: true }, { timeoutMs: KILL_MS }).catch(noSuchTask);
      await task.wait('', { timeoutMs: KILL_MS });
      await this.options.runtime.delete(task);
    } catch (error) {
      noSuchTask(error);
    }
  }

  #find(namespace: string, id: string): RunningContainer | undefined {
    try {
      return this.options.runtime.get(namespace, id);
    } catch (error) {
      return noSuchTask(error);
    }
  }

  async #label(namespace: string, id: string, name: string, value: string): Promise<void> {
    await this.options.metadata.containers.update(namespace, { id, labels: { [name]: value } }, [`labels.${name}`]);
  }
}

/** A container's streams when no client is there to have them. */
function ioOf({ spec, labels }: Container): TaskIo {
  const uri = logUri(labels ?? {});
  const terminal = isTerminal(spec?.value ?? new Uint8Array());
  if (uri === '') return terminal ? { ...NO_IO, stdout: 'file:///dev/null', terminal } : NO_IO;
  if (!/^(file|binary|binary-v2):/.test(uri))
    throw errdefs.invalidArgument(`${LABELS.logUri} must be a file:// or binary:// URI, not ${JSON.stringify(uri)}`);
  return { stdin: '', stdout: uri, stderr: terminal ? '' : uri, terminal };
}

function isTerminal(spec: Uint8Array): boolean {
  return (JSON.parse(Buffer.from(spec).toString('utf8')) as Spec).process?.terminal === true;
}

function noSuchTask(error: unknown): undefined {
  if (TtrpcError.from(error).code !== Code.NotFound) throw error;
  return undefined;
}
