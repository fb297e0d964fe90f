/** The interface of `hawser/client`. */
import type { Readable, Writable } from 'node:stream';
import type { containerd, google } from '../api/full.js';
import type { Services } from './grpc/services.js';
import type { Images } from './image/types.js';
import type { LinuxResources, ProcessOptions, Spec, SpecOptions } from './spec/types.js';
import type { Stats } from './stats.js';

/** A message of any type: its type's name, and its bytes. */
export type Any = google.protobuf.Any.$Properties;
/** A mount as containerd and its shims exchange them. */
export type Mount = containerd.types.Mount.$Properties;

/** What any call may be given. */
export interface CallOptions {
  /** Gives the call up: it rejects with an AbortError, and what it had made is taken away again before it does. */
  readonly signal?: AbortSignal | undefined;
  /** Gives the call up after so many milliseconds, with a DeadlineExceededError. None unless given. */
  readonly timeoutMs?: number | undefined;
}

/** How to reach the daemon. */
export interface ConnectOptions extends CallOptions {
  /** Path of the daemon's socket, or `unix://PATH`. Default: $CONTAINERD_ADDRESS, or /run/containerd/containerd.sock. */
  readonly address?: string | undefined;
  /** Default: $CONTAINERD_NAMESPACE, or `default`. */
  readonly namespace?: string | undefined;
  /** Where directories for FIFOs are made, each of mode 0700. Default: /run/hawser/fifo. */
  readonly fifoDir?: string | undefined;
}

/** A connection to one daemon, in one namespace. It reconnects by itself when the daemon was restarted. */
export interface Client {
  readonly address: string;
  readonly namespace: string;
  /** The daemon's gRPC services, for what the rest of this interface does not have. Calls are in the client's namespace. */
  readonly services: Services;
  readonly images: Images;
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

/** Which of a process's FIFOs to open. What was not given to it as a FIFO is an empty stream. */
export interface AttachOptions extends CallOptions {
  /** Default true. */
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  /** Of this exec, not of the container's first process. */
  readonly exec?: string | undefined;
}

/** What a container is made of. `image`, `rootfs`, `rootfsMounts` or `snapshotKey` says where its files are. */
export interface CreateOptions extends SpecOptions, CallOptions {
  readonly id: string;
  /** Name of an image of the daemon's: gives the root file system (a new snapshot) and the spec's defaults. */
  readonly image?: string | undefined;
  /** A directory as root file system. The container changes it, unless `readonlyRootfs`. */
  readonly rootfs?: string | undefined;
  /** Mounts that make the root file system, done by the shim. */
  readonly rootfsMounts?: readonly Mount[] | undefined;
  /** Default: the daemon's overlayfs. */
  readonly snapshotter?: string | undefined;
  /** Key of an existing snapshot; or of the one that is made from the image (default: the id). */
  readonly snapshotKey?: string | undefined;
  /** The whole OCI spec, instead of the one that is made of the other options; or a function that changes that one. */
  readonly spec?: Spec | ((spec: Spec) => Spec | void) | undefined;
  /** Name of the runtime, or path of a shim. Default `io.containerd.runc.v2`. */
  readonly runtime?: string | undefined;
  /** Options for the shim: as runc's shim takes them, or packed for another one. */
  readonly options?: RuncOptions | Any | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What ends it, kept in the label that ctr and nerdctl use. Default: what the image says (STOPSIGNAL), or SIGTERM. */
  readonly stopSignal?: Signal | undefined;
  readonly extensions?: Readonly<Record<string, Any>> | undefined;
}

/** containerd.runc.v1.Options: `{ binaryName: 'crun', systemdCgroup: true }`. */
export type RuncOptions = containerd.runc.v1.Options.$Properties;

/** A container's record in the daemon. */
export interface ContainerRecord {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the image it was made from; empty for none. */
  readonly image: string;
  readonly runtime: { readonly name: string; readonly options: Any | undefined };
  readonly spec: Spec;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly extensions: Readonly<Record<string, Any>>;
}

/** One container; it may have a task, which is what runs. */
export interface Container {
  readonly id: string;
  /** As of when this object was made, or of the last {@link refresh}. */
  readonly record: ContainerRecord;
  /** Its first process, when this object has started or attached to it. */
  readonly process: Process | undefined;
  /** Reads the record again. */
  refresh(options?: CallOptions): Promise<ContainerRecord>;
  /** Sets labels and leaves the others; an empty value removes one. */
  setLabels(labels: Readonly<Record<string, string>>, options?: CallOptions): Promise<void>;

  /**
   * Makes the task and starts it. The streams are open before its first byte. When it fails, no task is left.
   *
   * @throws AlreadyExistsError when it has a task already
   */
  start(options?: StartOptions): Promise<Process>;
  /** Opens the streams of a process that is there, for a client that comes back. */
  attach(options?: AttachOptions): Promise<Process>;
  /**
   * Runs another process in the container. It is taken away again by itself when it has ended and its output has been read.
   */
  exec(options: ExecOptions): Promise<Process>;
  /** Runs another process to its end and collects what it writes. When aborted, the process is killed. */
  output(args: readonly string[], options?: OutputOptions & { readonly encoding?: 'utf8' }): Promise<Output<string>>;
  /** The same, as bytes. */
  output(args: readonly string[], options: OutputOptions & { readonly encoding: 'buffer' }): Promise<Output<Buffer>>;
  /** Waits for the task's end; for that of an exec when one is named. */
  wait(options?: OfProcess): Promise<Exit>;

  /** Sends a signal, {@link CreateOptions.stopSignal} unless given (SIGTERM to an exec); with `all`, to every process of the container. */
  signalProcess(signal?: Signal, options?: OfProcess & { readonly all?: boolean | undefined }): Promise<void>;
  /** Gives a terminal another size. */
  resizeTerminal(size: WindowSize, options?: OfProcess): Promise<void>;
  /** Has the process find the end of its input, once all who write to it have closed their ends. */
  closeStdin(options?: OfProcess): Promise<void>;
  /** Freezes all its processes. */
  pause(options?: CallOptions): Promise<void>;
  /** Has them go on. */
  resume(options?: CallOptions): Promise<void>;
  /** What its cgroup counts now. @throws NotFoundError when it has no task, FailedPreconditionError when that has ended */
  stats(options?: CallOptions): Promise<Stats>;
  /** Pids of all its processes, as the host numbers them. */
  listPids(options?: CallOptions): Promise<number[]>;
  /** All its processes, with the ids of those that were made by exec. */
  summary(options?: CallOptions): Promise<ProcessSummary[]>;
  /** The state of its task, or of an exec. @throws NotFoundError when there is none */
  status(options?: OfProcess): Promise<TaskStatus>;
  /** Changes the limits of the running task; what is left out stays. The record's spec is not changed. */
  updateResources(resources: LinuxResources, options?: CallOptions): Promise<void>;
  /** Writes the running task to a directory, from which `start({ checkpointDir })` restores it. Needs criu. */
  createCheckpoint(directory: string, options?: CheckpointOptions): Promise<void>;
  /**
   * Takes the ended task away, with its FIFOs; with `kill`, ends it first. What it has written is read to its end by the
   * streams that are open here.
   *
   * @returns its exit
   * @throws FailedPreconditionError when it is running, NotFoundError when there is none
   */
  deleteTask(options?: CallOptions & { readonly kill?: boolean | undefined }): Promise<Exit>;
  /**
   * Deletes the container; with `kill`, its task first, even when it runs. Its snapshot goes, too, when `create` had made it.
   *
   * @throws FailedPreconditionError when it has a task
   */
  delete(
    options?: CallOptions & { readonly kill?: boolean | undefined; readonly snapshot?: boolean | undefined },
  ): Promise<void>;
}

/** Which process of a container is meant: the first one, unless an exec is named. */
export interface OfProcess extends CallOptions {
  readonly exec?: string | undefined;
}

/** A name, with or without SIG, or a number. */
export type Signal = NodeJS.Signals | number | (string & {});

/** A terminal's, in characters. */
export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Where a process's stream goes.
 * - `pipe`: a stream of this process, through a FIFO
 * - `inherit`: this process's own stream
 * - `ignore`: nowhere; for stdin, at its end from the beginning
 * - anything else: a path or URI for the shim, such as `file:///var/log/x.log` or `binary:///usr/bin/logger`
 */
export type StdioTarget = 'pipe' | 'inherit' | 'ignore' | (string & {});

/** Where each of a process's streams goes. */
export interface StdioOptions {
  /** Default `ignore`. */
  readonly stdin?: StdioTarget | undefined;
  /** Default `pipe`. It must be read, or else the process stops when the pipe is full, as with any child process. */
  readonly stdout?: StdioTarget | undefined;
  /** Default `pipe`; a terminal has none. */
  readonly stderr?: StdioTarget | undefined;
}

/** How a task is started. */
export interface StartOptions extends StdioOptions, CallOptions {
  /** A terminal's first size. Whether there is one the spec says. */
  readonly size?: WindowSize | undefined;
  /** Mounts that make the root file system, for a container that was loaded: its record does not have them. */
  readonly rootfsMounts?: readonly Mount[] | undefined;
  /** What `createCheckpoint` has written. */
  readonly checkpointDir?: string | undefined;
  /** Called between the task's creation and its start, when it has a pid and nothing of it has run. */
  readonly created?: ((process: Process) => void | Promise<void>) | undefined;
}

/** What another process of a container is. */
export interface ExecOptions extends ProcessOptions, StdioOptions, CallOptions {
  /** Its id in the container; one is made up unless given. */
  readonly id?: string | undefined;
  readonly size?: WindowSize | undefined;
}

/** What a process is whose output is collected. */
export interface OutputOptions extends ProcessOptions, CallOptions {
  /** Written to its input, which ends then. */
  readonly input?: string | Uint8Array | undefined;
  /** More of either stream is a ResourceExhaustedError, and the process is killed. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  readonly encoding?: 'utf8' | 'buffer' | undefined;
}

/** What a process has written, and how it has ended. */
export interface Output<T = string> {
  readonly stdout: T;
  readonly stderr: T;
  /** 128 and the signal's number for a process that a signal has ended. */
  readonly exitCode: number;
}

/** How a process has ended. */
export interface Exit {
  /** 128 and the signal's number for a process that a signal has ended. */
  readonly exitCode: number;
  readonly exitedAt: Date;
}

/** A process of a container: its first one, or an exec. */
export interface Process {
  /** The exec's id; the container's for its first process. */
  readonly id: string;
  readonly containerId: string;
  readonly pid: number;
  readonly terminal: boolean;
  /** Ends the process's input when it is ended (half-close). A stream that can't be written to unless `stdin` is `pipe`. */
  readonly stdin: Writable;
  /** Ends when the process has ended, with its last byte. An empty stream unless `stdout` is `pipe`. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** How it has ended. The signal ends the waiting, not the process. */
  wait(options?: CallOptions): Promise<Exit>;
  /** Collects all output up to its end. Nothing else may be reading the streams. The signal ends the waiting, not the process. */
  result(options?: ResultOptions & { readonly encoding?: 'utf8' }): Promise<Output<string>>;
  /** The same, as bytes. */
  result(options: ResultOptions & { readonly encoding: 'buffer' }): Promise<Output<Buffer>>;
  /** The container's stop signal unless given; for an exec SIGTERM. No error when it has ended already. */
  kill(signal?: Signal, options?: CallOptions & { readonly all?: boolean | undefined }): Promise<void>;
  /** Gives its terminal another size. */
  resize(size: WindowSize, options?: CallOptions): Promise<void>;
  /** The same as ending `stdin`: what was written reaches the process, then the end does. Resolves when that is under way. */
  closeStdin(options?: CallOptions): Promise<void>;
  /** Closes our ends of its streams. The process goes on, and can be attached to again. */
  detach(): void;
}

/** How output is collected. */
export interface ResultOptions extends CallOptions {
  /** More of either stream is a ResourceExhaustedError. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  readonly encoding?: 'utf8' | 'buffer' | undefined;
}

/** What a process is doing. */
export type TaskState = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

/** A process as its shim knows it. */
export interface TaskStatus {
  readonly containerId: string;
  /** The exec's id; the container's for its first process. */
  readonly id: string;
  readonly state: TaskState;
  readonly pid: number;
  /** Once it is stopped. */
  readonly exit: Exit | undefined;
  readonly terminal: boolean;
  /** The paths and URIs that it was given. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** One process of a container. */
export interface ProcessSummary {
  readonly pid: number;
  /** Of the exec that it is; undefined for the container's first process and for what processes have started themselves. */
  readonly exec: string | undefined;
}

/** How a checkpoint is taken; see criu(8) for what it can write. */
export interface CheckpointOptions extends CallOptions {
  /** The container ends. Default: it goes on. */
  readonly exit?: boolean | undefined;
  readonly openTcp?: boolean | undefined;
  readonly externalUnixSockets?: boolean | undefined;
  readonly terminal?: boolean | undefined;
  readonly fileLocks?: boolean | undefined;
}

/** Which events are wanted. */
export interface EventsOptions {
  /** containerd's filters: `topic~="^/tasks/"`, `namespace==default`. An event that any of them selects is given; all without. */
  readonly filters?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An event as the daemon publishes it. */
export interface EventEnvelope {
  readonly timestamp: Date;
  readonly namespace: string;
  /** Such as `/tasks/exit`. */
  readonly topic: string;
  /** Name of its message, such as `containerd.events.TaskExit`. */
  readonly type: string;
  /** The decoded message; undefined for one that is not known here. */
  readonly event: Readonly<Record<string, unknown>> | undefined;
  readonly raw: Uint8Array;
}

/** The nine kinds of libcontainerd. */
export type EventKind =
  'unknown' | 'exit' | 'oom' | 'create' | 'start' | 'exec-added' | 'exec-started' | 'paused' | 'resumed';

/** Something that happened to a container. */
export interface ContainerEvent {
  readonly kind: EventKind;
  readonly containerId: string;
  /** The exec's id; the container's for its first process. */
  readonly processId: string;
  /** 0 where the event does not say. */
  readonly pid: number;
  /** Of kind `exit`; undefined when the daemon can't tell any more how it ended. */
  readonly exit: Exit | undefined;
  readonly timestamp: Date;
  /** It was not heard but found out, after the daemon had been away. */
  readonly replayed: boolean;
  /** The event itself, where it was heard. */
  readonly envelope: EventEnvelope | undefined;
}

/** Whoever wants to know; an error of it ends the watching. */
export type Backend =
  | ((event: ContainerEvent) => void | Promise<void>)
  | {
      /** Called for each event. */
      processEvent(event: ContainerEvent): void | Promise<void>;
    };

/** What is watched. */
export interface WatchOptions extends CallOptions {
  /** Of these containers only. */
  readonly containers?: readonly string[] | undefined;
  /** Told when the daemon has gone away (false) and when it is back and nothing is missing (true). */
  readonly onConnection?: ((connected: boolean) => void) | undefined;
}

/** A backend being told. */
export interface Watcher {
  /** Settles when the watching is over: resolves after stop() or an abort, rejects with an error of the backend. */
  readonly done: Promise<void>;
  /** Watches no more. Resolves when the backend has dealt with what it was told. */
  stop(): Promise<void>;
}
