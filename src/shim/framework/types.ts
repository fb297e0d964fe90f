/** What the author of a shim supplies, and what they are given. */
import type { google } from '../../api/gen/api.js';
import type { Process as OciProcess, Spec as OciSpec } from '../../oci/spec.js';

/** A message with its type's name, as containerd carries options and metrics. */
export type Any = google.protobuf.Any.$Properties;

/** The process of an OCI spec, as far as a shim without an OCI runtime has a use for it. */
export interface ProcessSpec extends OciProcess {
  /** The command and its arguments. */
  args?: string[];
  /** `NAME=value`, each. */
  env?: string[];
  /** Within the container's root file system. */
  cwd?: string;
  /** Who it is to run as. */
  user?: { uid: number; gid: number; additionalGids?: number[] };
}

/**
 * The container's `config.json`, as the client made it. What is not declared here is there, too. An integer that a number cannot hold exactly
 * is a bigint (rlimits of 2^64-1); `stringifyExact` writes it as JSON.
 */
export interface Spec extends OciSpec {
  /** What the init is to run. */
  process?: ProcessSpec;
  /** Where its root file system is, absolute or below the bundle. */
  root?: { path: string; readonly?: boolean };
  /** Anything else that the OCI runtime spec has. */
  [key: string]: unknown;
}

/** A process that is to be, or is: a container's init, or an exec. */
export interface TaskProcess {
  /** The container's id, or the exec's. */
  readonly id: string;
  /**
   * Descriptors for its 0, 1 and 2: to be handed to the process during `create` or `exec`, closed by the framework when
   * these have returned. Empty with a terminal.
   */
  readonly stdio: readonly number[];
  /** It is to have a terminal, whose master must be sent through {@link TaskProcess.consoleSocket}. */
  readonly terminal: boolean;
  /** Path of a unix socket that takes a terminal's master as from an OCI runtime; undefined without a terminal. */
  readonly consoleSocket: string | undefined;
  /** 0 until `create` or `exec` has given it. */
  readonly pid: number;
}

/** One container, the same object in every call. */
export interface Container extends TaskProcess {
  /** containerd's namespace. */
  readonly namespace: string;
  /** Path of the bundle; the shim's own files may be kept there until the container is deleted. */
  readonly bundle: string;
  /** Its root file system, as an absolute path; what the client gave as mounts is mounted there. */
  readonly rootfs: string;
  /** Its `config.json`. */
  readonly spec: Spec;
  /** The runtime options of the client; undefined when it gave none. */
  readonly options: Any | undefined;
}

/** One more process in a container. */
export interface Exec extends TaskProcess {
  /** What to run. */
  readonly spec: ProcessSpec;
}

/** What is left of a container whose shim was killed. Its processes may live yet, or be long gone. */
export interface Remains {
  /** The container's id. */
  readonly id: string;
  /** containerd's namespace. */
  readonly namespace: string;
  /** Path of the bundle, which may be gone. */
  readonly bundle: string;
  /** The init's, 0 when none is known. The init has been killed by now. */
  readonly pid: number;
}

/** What JSON holds, and a shim can keep over a sleep. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined };

/** What a shim knows of its containers by itself, and how it is to know that again after a sleep, in another process. */
export interface Keeping<Container, Kept extends Json> {
  /**
   * Gives what is to be kept of a container. Must not wait for anything. Where it throws, the shim does not sleep for now: its state dump has
   * the error's text.
   */
  record(container: Container): Kept;
  /** Takes it on, before any other call for this container. What it throws is logged, and the shim goes on. */
  restore(container: Container, kept: Kept): void;
}

/** What a call is told besides. */
export interface CallOptions {
  /** Aborts when nobody waits for the result any more. */
  readonly signal: AbortSignal;
}

/**
 * A shim: what its author supplies. Calls that change one container come one after the other; `kill` waits for none of them.
 * An error that is thrown reaches the client with its text, and with its class when it is one of hawser/api's `errdefs`. What
 * is left out answers Unimplemented.
 */
export interface Shim<Kept extends Json = Json> {
  /**
   * Whether it may sleep: with nothing to do for five seconds its process ends, and the program is run anew when there is something. `true` for a
   * shim that knows nothing of running containers but what it is told in each call, or has on disk; for any other how to keep it.
   * Default: it stays awake.
   */
  sleeps?: true | Keeping<Container, Kept>;
  /** The runtime's name, as `io.containerd.process.v1`. Default: made from the program's, `containerd-shim-process-v1`. */
  name?: string;
  /** Printed by `-v`, and told to clients that ask for the runtime. */
  version?: string;
  /**
   * Makes the container, and its init, which does not run yet what it is to run: see {@link holdProcess}. The root file
   * system is mounted, stdio is open. What it made when it throws is its own to undo.
   *
   * @returns the pid of the init, a child of this process (not of `node:child_process`, which would take its exit status)
   */
  create(container: Container, options: CallOptions): Promise<number> | number;
  /** Lets the init run. */
  start(container: Container, options: CallOptions): Promise<void> | void;
  /** Sends a signal, by number: to the init, or with `all` to every process of the container. */
  kill(container: Container, signal: number, options: { readonly all: boolean }): Promise<void> | void;
  /** The init has ended, or was never started and is killed: frees what `create` made. May be asked again if it fails. */
  delete(container: Container): Promise<void> | void;
  /** The shim was killed: frees what is left, in a process of its own, which knows nothing but what is on disk. */
  cleanup?(remains: Remains): Promise<void> | void;
  /**
   * Runs one more process in the container. Signals for it, and its end, are the framework's business.
   *
   * @returns its pid, a child of this process
   */
  exec?(container: Container, exec: Exec, options: CallOptions): Promise<number> | number;
  /** Freezes the container. */
  pause?(container: Container): Promise<void> | void;
  /** Lets a frozen container go on. */
  resume?(container: Container): Promise<void> | void;
  /** Changes limits; an OCI LinuxResources, with bigints as in {@link Spec}. */
  update?(container: Container, resources: Record<string, unknown>): Promise<void> | void;
  /** All pids of the container. Default: the init's and the execs', and with a cgroup of its own all that are in it. */
  pids?(container: Container): Promise<number[]> | number[];
  /** The container's metrics; see {@link cgroupMetrics}. */
  stats?(container: Container): Promise<Any> | Any;
}

/** A container of {@link RuncShim}. */
export interface RuncContainer {
  /** The container's id. */
  readonly id: string;
  /** containerd's namespace. */
  readonly namespace: string;
  /** Path of the bundle, `config.json` in it. */
  readonly bundle: string;
  /** The init's, 0 until runc has made it. */
  readonly pid: number;
  /** Its `config.json`. */
  readonly spec: Spec;
}

/** Hawser's own task, run by runc, with something before or after. A hook that throws fails the call, with its text. */
export interface RuncShim<Kept extends Json = Json> {
  /** As {@link Shim}'s. */
  sleeps?: true | Keeping<RuncContainer, Kept>;
  /** The runtime's name, as `io.containerd.hooked.v1`. Default: made from the program's, `containerd-shim-hooked-v1`. */
  name?: string;
  /** Printed by `-v`, and told to clients that ask for the runtime. */
  version?: string;
  /** Before runc is called for the first time; `config.json` may be changed on disk. */
  beforeCreate?(container: RuncContainer, options: CallOptions): Promise<void> | void;
  /** The container is there, with its namespaces and cgroup, and its command does not run yet. */
  beforeStart?(container: RuncContainer, options: CallOptions): Promise<void> | void;
  /** The container is gone, be it deleted or cleaned up after a shim that was killed: in a process of its own, then. */
  cleanup?(remains: Remains): Promise<void> | void;
}
