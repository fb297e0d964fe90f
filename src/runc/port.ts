/**
 * What a shim asks of a container's runtime. An OCI runtime answers by its commands; others may answer in any way they like.
 * The calls are those of the OCI runtime's command line: one of each name, awaited to its end.
 */
import type { Process } from '../oci/spec.js';
import type { CheckpointOptions, ProcessIo } from './runtime.js';

/** A process that the runtime is to make, and who it is. */
export interface Launch {
  readonly container: string;
  /** The exec's id; absent for the container's init. */
  readonly exec?: string;
  /** Path of the container's bundle, whose `config.json` says what the init is. */
  readonly bundle: string;
  /** File that the process's pid is written to. */
  readonly pidFile: string;
  /** What the exec is to run; absent for an init. */
  readonly spec?: Process;
  /** Where its standard streams go. */
  readonly io: ProcessIo;
  /** Ends this call, instead of what ends all calls of the runtime. */
  readonly signal?: AbortSignal;
}

/** The launch of an exec. */
export interface ExecLaunch extends Launch {
  readonly exec: string;
  readonly spec: Process;
}

/** A checkpoint's images, and where criu may work. */
export interface RestoreImages {
  readonly imagePath: string;
  readonly workPath: string;
  readonly parentPath?: string;
}

/** The runtime of one container. Every call rejects with what the runtime says when it fails. */
export interface RuntimePort {
  /** Makes the container; its init waits for {@link RuntimePort.start}. Resolves to the init's pid. */
  create(launch: Launch): Promise<number>;
  /** Makes and starts the container from a checkpoint. Resolves to the init's pid. */
  restore(launch: Launch, images: RestoreImages): Promise<number>;
  /** Runs one more process in the container and leaves it running. Resolves to its pid. */
  exec(launch: ExecLaunch): Promise<number>;
  /**
   * Lets the init of a created container go on.
   *
   * @param ended settles when the init has ended
   */
  start(container: string, ended: Promise<unknown>): Promise<void>;
  /** The container is there: an earlier process has made it. What was known since its create may be found out again. */
  resumed?(): void;
  /** Sends a signal, by number, to the init, or with `all` to every process of the container. */
  kill(container: string, signal: number, options: { all: boolean }): Promise<void>;
  /** Removes the container. With `force` its processes are killed first, and one that is already gone is no error. */
  delete(container: string, options?: { force?: boolean }): Promise<void>;
  /**
   * Removes a container whose init has been seen to end, without asking anybody. Resolves to false when `delete` is to be
   * called, and rejects with what a file system says that refuses.
   */
  removeEnded?(container: string, pid: number): Promise<boolean>;
  /** Freezes all processes of the container. */
  pause(container: string): Promise<void>;
  /** Lets a frozen container go on. */
  resume(container: string): Promise<void>;
  /** Changes limits. `resources` is the JSON of an OCI LinuxResources. */
  update(container: string, resources: Uint8Array): Promise<void>;
  /** Writes the images of the container; it ends then, unless it is to be left running. */
  checkpoint(container: string, options: CheckpointOptions): Promise<void>;
  /** Pids of all processes of the container; none when it has stopped. */
  ps(container: string): Promise<number[]>;
}
