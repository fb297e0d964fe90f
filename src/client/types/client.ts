/** A connection to a daemon. */
import type { Services } from '../grpc/services.js';
import type { Images } from '../image/types.js';
import type { NetworkPlaces, Networks } from '../network/types.js';
import type { Volumes } from '../volume/types.js';
import type { CallOptions } from './calls.js';
import type { AttachOptions, Container, CreateOptions } from './container.js';
import type { Backend, EventEnvelope, EventsOptions, Watcher, WatchOptions } from './events.js';
import type { TaskStatus } from './process.js';

/** How to reach the daemon. */
export interface ConnectOptions extends CallOptions {
  /** Path of the daemon's socket, or `unix://PATH`. Default: $CONTAINERD_ADDRESS, or /run/containerd/containerd.sock. */
  readonly address?: string | undefined;
  /** Default: $CONTAINERD_NAMESPACE, or `default`. */
  readonly namespace?: string | undefined;
  /** Where directories for FIFOs are made, each of mode 0700. Default: /run/hawser/fifo. */
  readonly fifoDir?: string | undefined;
  /** Where networks, plugins and what is known of containers' networks are. */
  readonly networkPlaces?: NetworkPlaces | undefined;
  /** Where volumes are, as nerdctl has them below its own: each sees the other's. Default: /var/lib/nerdctl. */
  readonly dataRoot?: string | undefined;
}

/** A connection to one daemon, in one namespace. It reconnects by itself when the daemon was restarted. */
export interface Client {
  readonly address: string;
  readonly namespace: string;
  /** The daemon's gRPC services, for what the rest of this interface does not have. Calls are in the client's namespace. */
  readonly services: Services;
  readonly images: Images;
  /** The machine's networks, and what containers have of them. */
  readonly networks: Networks;
  readonly volumes: Volumes;
  /** The same connection in another namespace. Closing either closes both. */
  inNamespace(namespace: string): Client;
  version(options?: CallOptions): Promise<Version>;
  /** All containers, or those that containerd's filters select, such as `labels.app==web` or `id~=^test`. */
  containers(filters?: readonly string[], options?: CallOptions): Promise<Container[]>;
  /** All tasks of the namespace: one for each container that has been started and whose task has not been deleted. */
  tasks(options?: CallOptions): Promise<TaskStatus[]>;
  /**
   * A container that is there already; with `attach`, connected to its task's streams again (`container.process`). A
   * container without a task, or whose task has ended, has no stream to connect to; `container.process` says.
   *
   * @throws NotFoundError
   */
  load(id: string, options?: LoadOptions): Promise<Container>;
  /**
   * Makes a container: its spec, its root file system, its record. Nothing runs yet. When it fails, nothing is left.
   *
   * @throws AlreadyExistsError, InvalidArgumentError, NotFoundError for the image
   */
  create(options: CreateOptions): Promise<Container>;
  /** Everything that the daemon publishes, as it comes. Ends with an UnavailableError when the daemon goes away. */
  events(options?: EventsOptions): AsyncIterableIterator<EventEnvelope>;
  /**
   * Has a backend told of what happens to the containers of this namespace: in order for each container, one at a time for
   * each container (a backend that returns a promise is waited for), whether or not the daemon is restarted meanwhile.
   * What happened while it was away is found out by looking, and told with `replayed` set.
   *
   * Resolves when it is watching: nothing that begins after that is missed.
   */
  watch(backend: Backend, options?: WatchOptions): Promise<Watcher>;
  /** Lets go of the connection and of all streams. Containers go on. */
  close(): void;
}

/** A daemon's. */
export interface Version {
  readonly version: string;
  readonly revision: string;
}

/** How a container is loaded. */
export interface LoadOptions extends CallOptions {
  /** Which streams to open again; true for all. */
  readonly attach?: boolean | AttachOptions | undefined;
}
