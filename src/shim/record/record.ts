/**
 * All that a serving shim knows about its containers: plain data, fit for JSON. Descriptors, watches and waiters are
 * kept beside it. What a crash dump shows and what a successor would need is exactly this.
 */
import type { CgroupPaths } from './cgroup-paths.js';
import type { ExecState, InitState } from './states.js';
import type { Mount } from './mount.js';

export interface ProcessRecord {
  /** 0 until known. */
  pid: number;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  /** CloseIO has been called. */
  stdinClosed: boolean;
  exitStatus: number;
  /** Milliseconds since the epoch; absent while it has not exited. */
  exitedAt?: number;
}

export interface InitRecord extends ProcessRecord {
  state: InitState;
}

/** No exit of this init is still to be published. */
export function isOver({ state }: InitRecord): boolean {
  return state === 'stopped' || state === 'deleted' || state === 'abandoned';
}

export interface ExecRecord extends ProcessRecord {
  id: string;
  state: ExecState;
  /** The OCI process to run, as the client's JSON text. */
  spec: string;
}

/** How this container's runtime is called. */
export interface RuntimeSettings {
  binary: string;
  /** Its state directory, the namespace included. */
  root: string;
  systemdCgroup: boolean;
  criu: string;
  criuWorkPath: string;
  noPivotRoot: boolean;
  noNewKeyring: boolean;
  ioUid: number;
  ioGid: number;
}

export interface ContainerRecord {
  id: string;
  bundle: string;
  mounts: Mount[];
  runtime: RuntimeSettings;
  /** Directory to restore from; empty for a new container. */
  checkpoint: string;
  parentCheckpoint: string;
  sharesPidNamespace: boolean;
  /** Its annotation about logs whose sink dies; empty for none. */
  onLogDeath: string;
  /** The spec's; what the runtime makes of it is in `cgroup`. */
  cgroupsPath: string;
  cgroup: CgroupPaths | undefined;
  init: InitRecord;
  execs: Record<string, ExecRecord>;
}

export interface ShimRecord {
  namespace: string;
  /** The id it was started for; its group may have more. */
  id: string;
  address: string;
  startedAt: number;
  containers: Record<string, ContainerRecord>;
}
