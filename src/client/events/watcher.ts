/** Tells a backend what happens to containers, in order for each, whatever becomes of the daemon meanwhile. */
import { randomBytes } from 'node:crypto';
import { containerd, pack } from '../../api/full.js';
import { pause } from '../abort.js';
import { NotFoundError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import { isPassing } from '../process.js';
import { statusOf } from '../record.js';
import type { Backend, ContainerEvent, EventEnvelope, Watcher, WatchOptions } from '../types/events.js';
import type { Exit, TaskStatus } from '../types/process.js';
import { envelopeOf } from './decode.js';
import { containerEvent } from './kinds.js';
import { KnownContainers } from './known.js';

const RETRY_MS = 100;
const MARK_MS = 50;
/** So many events may wait for the backend; then no more are read. */
const MAX_WAITING = 10_000;

export class EventWatcher implements Watcher {
  readonly done: Promise<void>;
  readonly #stop = new AbortController();
  readonly #known = new KnownContainers();
  readonly #queues = new Map<string, Promise<void>>();
  readonly #tell: (event: ContainerEvent) => void | Promise<void>;
  /** The backend's. */
  #failure: Error | undefined;
  #waiting = 0;
  #room: (() => void) | undefined;
  #first = true;

  private constructor(
    private readonly services: Services,
    private readonly namespace: string,
    backend: Backend,
    private readonly options: WatchOptions,
    ready: () => void,
  ) {
    this.#tell = typeof backend === 'function' ? backend : (event) => backend.processEvent(event);
    const abort = (): void => this.#stop.abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    this.done = this.#run(ready).finally(() => options.signal?.removeEventListener('abort', abort));
    this.done.catch(() => undefined);
  }

  /** Resolves when it hears everything. */
  static async start(
    services: Services,
    namespace: string,
    backend: Backend,
    options: WatchOptions,
  ): Promise<EventWatcher> {
    let watcher: EventWatcher | undefined;
    await new Promise<void>((resolve, reject) => {
      watcher = new EventWatcher(services, namespace, backend, options, resolve);
      watcher.done.then(resolve, reject);
    });
    return watcher!;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }

  async #run(ready: () => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#connected(ready);
      } catch (error) {
        if (signal.aborted) break;
        if (this.#first || !isPassing(error)) throw error;
        this.options.onConnection?.(false);
        await pause(RETRY_MS, signal).catch(() => undefined);
      }
    }
    await Promise.all(this.#queues.values());
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** For as long as one connection holds. */
  async #connected(ready: () => void): Promise<void> {
    const { signal } = this.#stop;
    const mark = `/hawser/watch/${randomBytes(8).toString('hex')}`;
    const filters = [`namespace==${this.namespace},topic~="^/tasks/"`, `namespace==${this.namespace},topic=="${mark}"`];
    const stream = this.services.events.Subscribe({ filters }, { signal });
    try {
      const missed = await this.#mark(stream, mark, signal);
      const tasks = await this.#tasks();
      // More may have come meanwhile; it waits in the stream.
      if (this.#first) this.#known.learn(tasks);
      else
        for (const event of await this.#known.compare(tasks, exitsOf(missed), (id, exec) => this.#look(id, exec)))
          this.#queue(event);
      for (const envelope of missed) this.#hear(envelope);
      if (!this.#first) this.options.onConnection?.(true);
      this.#first = false;
      ready();
      for await (const message of stream) {
        const envelope = envelopeOf(message);
        if (envelope.topic !== mark) this.#hear(envelope);
        if (this.#waiting >= MAX_WAITING) await new Promise<void>((resolve) => (this.#room = resolve));
      }
    } finally {
      await stream.return?.();
    }
  }

  /**
   * The daemon does not say from when on it sends events: it is sent one of our own, until that comes back.
   *
   * @returns what has come meanwhile
   */
  async #mark(
    stream: AsyncIterator<containerd.services.events.v1.Envelope>,
    mark: string,
    signal: AbortSignal,
  ): Promise<EventEnvelope[]> {
    const over = new AbortController();
    const publishing = this.#publish(mark, AbortSignal.any([signal, over.signal]));
    const heard: EventEnvelope[] = [];
    try {
      for (;;) {
        const next = await stream.next();
        if (next.done === true) return heard;
        const envelope = envelopeOf(next.value);
        if (envelope.topic === mark) return heard;
        heard.push(envelope);
      }
    } finally {
      over.abort();
      await publishing;
    }
  }

  async #publish(topic: string, signal: AbortSignal): Promise<void> {
    const { NamespaceUpdate } = containerd.events;
    const event = pack('containerd.events.NamespaceUpdate', NamespaceUpdate, { name: this.namespace });
    while (!signal.aborted) {
      try {
        await this.services.events.Publish({ topic, event }, { signal });
        await pause(MARK_MS, signal);
      } catch {
        // The stream has failed for the same reason, and says so.
        return;
      }
    }
  }

  async #tasks(): Promise<TaskStatus[]> {
    const { tasks } = await this.services.tasks.List({}, { signal: this.#stop.signal });
    // In a list it is the container's id that a task goes by.
    return tasks.map((task) => statusOf(task.containerId || task.id || '', task));
  }

  async #look(containerId: string, execId: string): Promise<{ exit: Exit | undefined } | undefined> {
    try {
      const { process } = await this.services.tasks.Get({ containerId, execId }, { signal: this.#stop.signal });
      const { state, exit } = statusOf(containerId, process ?? {});
      return state === 'stopped' ? { exit } : undefined;
    } catch (error) {
      if (error instanceof NotFoundError) return { exit: undefined };
      throw error;
    }
  }

  #hear(envelope: EventEnvelope): void {
    const event = containerEvent(envelope);
    if (event !== undefined && this.#known.take(event, envelope.topic === '/tasks/delete')) this.#queue(event);
  }

  /** Behind what the backend is dealing with, or has yet to, of the same container. */
  #queue(event: ContainerEvent): void {
    const { containerId: id } = event;
    if (this.options.containers?.includes(id) === false) return;
    this.#waiting++;
    const turn = (this.#queues.get(id) ?? Promise.resolve()).then(async () => {
      try {
        if (this.#failure === undefined) await this.#tell(event);
      } catch (error) {
        this.#failure ??= error instanceof Error ? error : new Error(String(error), { cause: error });
        this.#stop.abort();
      }
      this.#waiting--;
      this.#room?.();
      if (this.#queues.get(id) === turn) this.#queues.delete(id);
    });
    this.#queues.set(id, turn);
  }
}

function exitsOf(envelopes: readonly EventEnvelope[]): Map<number, Exit> {
  return new Map(
    envelopes.flatMap((envelope) => {
      const event = containerEvent(envelope);
      return event?.exit === undefined ? [] : [[event.pid, event.exit] as const];
    }),
  );
}
