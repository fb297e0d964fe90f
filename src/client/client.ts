/** A daemon's containers, tasks and events. */
import type { CreateContext } from './create.js';
import { ClientContainer } from './container.js';
import { eventsBetween } from './events/between.js';
import { envelopeOf } from './events/decode.js';
import { EventWatcher } from './events/watcher.js';
import type { Connection } from './grpc/connection.js';
import type { Services } from './grpc/services.js';
import { ClientImages } from './image/images.js';
import { ClientNetworks } from './network/networks.js';
import type { Places } from './network/places.js';
import { recordOf, statusOf } from './record.js';
import { abandonedFifos, removeDirectories, scopeOf } from './stdio/fifos.js';
import type { CallOptions } from './types/calls.js';
import type { Client, LoadOptions, Version } from './types/client.js';
import type { Container, CreateOptions } from './types/container.js';
import type { Backend, EventEnvelope, EventsOptions, Watcher, WatchOptions } from './types/events.js';
import type { TaskStatus } from './types/process.js';
import { VolumeStore } from './volume/store.js';
import { ClientVolumes } from './volume/volumes.js';

/** Directories of this machine that belong to what is done here. */
export interface Directories {
  readonly fifoDir: string;
  readonly dataRoot: string;
  readonly places: Places;
}

export class DaemonClient implements Client {
  readonly services: Services;
  readonly images: ClientImages;
  readonly networks: ClientNetworks;
  readonly volumes: ClientVolumes;
  readonly #context: CreateContext;

  constructor(
    private readonly connection: Connection,
    readonly namespace: string,
    private readonly directories: Directories,
  ) {
    const { fifoDir, dataRoot, places } = directories;
    this.services = connection.services(namespace);
    this.images = new ClientImages(this.services);
    this.volumes = new ClientVolumes(this.services, new VolumeStore(dataRoot, connection.path, namespace));
    this.#context = {
      services: this.services,
      images: this.images,
      volumes: this.volumes,
      namespace,
      address: connection.path,
      places,
      fifoDir,
      scope: scopeOf(connection.path, namespace),
    };
    this.networks = new ClientNetworks(this.services, places, this.#context.scope);
  }

  get address(): string {
    return this.connection.path;
  }

  inNamespace(namespace: string): Client {
    return new DaemonClient(this.connection, namespace, this.directories);
  }

  async version(options: CallOptions = {}): Promise<Version> {
    const { version, revision } = await this.services.version.Version({}, options);
    return { version, revision };
  }

  /** Takes away the FIFOs that clients have left which were killed, of containers that are no more. */
  async tidy(options: CallOptions = {}): Promise<void> {
    const { fifoDir, scope } = this.#context;
    removeDirectories(
      await abandonedFifos(fifoDir, scope, async () =>
        (await this.services.containers.List({}, options)).containers.map(({ id }) => id ?? ''),
      ),
    );
  }

  async containers(filters: readonly string[] = [], options: CallOptions = {}): Promise<Container[]> {
    const { containers } = await this.services.containers.List({ filters: [...filters] }, options);
    return containers.map((container) => new ClientContainer(this.#context, recordOf(container)));
  }

  async tasks(options: CallOptions = {}): Promise<TaskStatus[]> {
    const { tasks } = await this.services.tasks.List({}, options);
    return tasks.map((task) => statusOf(task.containerId || task.id || '', task));
  }

  async load(id: string, { attach = false, ...options }: LoadOptions = {}): Promise<Container> {
    const { container } = await this.services.containers.Get({ id }, options);
    const loaded = new ClientContainer(this.#context, recordOf(container ?? {}));
    if (attach !== false) await loaded.attachIfRunning({ ...(attach === true ? {} : attach), ...options });
    return loaded;
  }

  async create(options: CreateOptions): Promise<Container> {
    // What only looks at containers does without all that makes one.
    const { createContainer } = await import('./create.js');
    return createContainer(this.#context, options);
  }

  events(options: EventsOptions = {}): AsyncIterableIterator<EventEnvelope> {
    if (options.since !== undefined || options.until !== undefined) return eventsBetween(this.services, options);
    const { filters = [], signal } = options;
    // Not a generator, which would subscribe when it is first asked.
    return mapped(this.services.events.Subscribe({ filters: [...filters] }, { signal }), envelopeOf);
  }

  watch(backend: Backend, options: WatchOptions = {}): Promise<Watcher> {
    return EventWatcher.start(this.services, this.namespace, backend, options);
  }

  close(): void {
    this.connection.close();
  }
}

function mapped<T, R>(source: AsyncIterableIterator<T>, map: (value: T) => R): AsyncIterableIterator<R> {
  const iterator: AsyncIterableIterator<R> = {
    async next() {
      const result = await source.next();
      return result.done === true ? { value: undefined, done: true } : { value: map(result.value), done: false };
    },
    async return() {
      await source.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
