/** A container: what it is made of, its record, and what is done with it. */
import type { containerd } from '../../api/full.js';
import type { CommitOptions, Image } from '../image/types.js';
import type { NetworkOptions } from '../network/types.js';
import type { CgroupDriver, LinuxResources, Spec, SpecOptions } from '../spec/types.js';
import type { Stats } from '../stats.js';
import type { VolumeMount, VolumesFrom } from '../volume/types.js';
import type { Any, CallOptions, Mount } from './calls.js';
import type { Copied, CopyFromOptions, CopyToOptions, FileChange, WriteArchiveOptions } from './files.js';
import type { LogEntry, LogOptions } from './log.js';
import type {
  ExecOptions,
  Exit,
  OfProcess,
  Output,
  OutputOptions,
  Process,
  ProcessSummary,
  Signal,
  StdioOptions,
  TaskStatus,
  WindowSize,
} from './process.js';

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
export interface CreateOptions extends Omit<SpecOptions, 'network'>, NetworkOptions, CallOptions {
  readonly id: string;
  /** Name of an image of the daemon's: gives the root file system (a new snapshot) and the spec's defaults. */
  readonly image?: string | undefined;
  /** Of an image for several platforms, which: `linux/arm64`. Default: this machine's. */
  readonly platform?: string | undefined;
  /** Id of a container whose processes it sees, and which sees its own. That one must run whenever this one is started. */
  readonly pidOf?: string | undefined;
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
  /** Who makes its cgroup, if there are no `options`. Default: what the daemon has for its runtime, and the runtime where it has nothing. */
  readonly cgroupDriver?: CgroupDriver | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What ends it, kept in the label that ctr and nerdctl use. Default: what the image says (STOPSIGNAL), or SIGTERM. */
  readonly stopSignal?: Signal | undefined;
  readonly extensions?: Readonly<Record<string, Any>> | undefined;
  /** Volumes, by name or anonymous. One that is made for the container goes again when that cannot be made. */
  readonly volumes?: readonly VolumeMount[] | undefined;
  /** Containers whose volumes and bind mounts it gets, too, where nothing else is mounted. */
  readonly volumesFrom?: readonly VolumesFrom[] | undefined;
  /** Whether the image's volumes (VOLUME) become anonymous ones where nothing else is mounted. Default true. */
  readonly imageVolumes?: boolean | undefined;
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

  /**
   * What it has printed, of the log file that its output goes to (`stdout: 'file:///…?format=cri'`, `hawser run`), also where that was rotated.
   *
   * @throws FailedPreconditionError when it has none, or one without times, and such are asked for; InvalidArgumentError for a time that is none
   */
  logs(options?: LogOptions): AsyncIterableIterator<LogEntry>;

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
  /**
   * Its root file system as a tar archive, whether it runs or not; what is mounted in it is left out. Needs root, and the daemon's machine,
   * as all does that is about files of containers.
   *
   * @throws FailedPreconditionError when its files are not here; PermissionDeniedError
   */
  export(options?: CallOptions): AsyncIterableIterator<Uint8Array>;
  /**
   * What it has changed of its image's files, in the order of paths.
   *
   * @throws FailedPreconditionError when it was made of a directory
   */
  diff(options?: CallOptions): Promise<FileChange[]>;
  /**
   * Copies a file or a directory out of the container, by the rules of `docker cp`: with `/.` behind a directory's name, what is in it; with a
   * slash behind the target's, the target is a directory. The copies belong to this user. Links lead nowhere but to where they do in the container.
   *
   * @throws NotFoundError, InvalidArgumentError for paths that are not there, or do not go together; FailedPreconditionError for kinds of
   * files that do not take each other's places, and when the container's files are not here; PermissionDeniedError
   */
  copyFrom(path: string, target: string, options?: CopyFromOptions): Promise<Copied>;
  /** Copies a file or a directory into the container, likewise. The copies keep their owners. @throws as {@link copyFrom}, and when it is read-only */
  copyTo(source: string, path: string, options?: CopyToOptions): Promise<Copied>;
  /** What is at a path of the container's, with all below it, as a tar archive; with `/.` behind it, by names from there on. */
  readArchive(path: string, options?: CopyFromOptions): AsyncIterableIterator<Uint8Array>;
  /** Unpacks a tar archive, compressed or not, in a directory of the container's. */
  writeArchive(path: string, archive: AsyncIterable<Uint8Array>, options?: WriteArchiveOptions): Promise<Copied>;
  /**
   * Makes an image of it: its image's layers and one of what it has changed, and its image's configuration with what was said otherwise for
   * the container (command, environment, working directory, user, labels). The daemon compares the files; nothing is mounted here.
   *
   * @throws FailedPreconditionError when it was made of a directory, or when its image is not here any more
   */
  commit(options?: CommitOptions): Promise<Image>;
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
   * Deletes the container; with `kill`, its task first, even when it runs. Its snapshot goes, too, when `create` had made it; with
   * `volumes`, its anonymous volumes that no other container has.
   *
   * @throws FailedPreconditionError when it has a task
   */
  delete(options?: DeleteOptions): Promise<void>;
}

/** What goes with a container. */
export interface DeleteOptions extends CallOptions {
  readonly kill?: boolean | undefined;
  readonly snapshot?: boolean | undefined;
  readonly volumes?: boolean | undefined;
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

/** How a checkpoint is taken; see criu(8) for what it can write. */
export interface CheckpointOptions extends CallOptions {
  /** The container ends. Default: it goes on. */
  readonly exit?: boolean | undefined;
  readonly openTcp?: boolean | undefined;
  readonly externalUnixSockets?: boolean | undefined;
  readonly terminal?: boolean | undefined;
  readonly fileLocks?: boolean | undefined;
}
