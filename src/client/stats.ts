/** What the kernel counts for a container's cgroup, the same for cgroup v1 and v2. */

/** Figures of one moment. Bytes and nanoseconds; a limit that is not set is undefined. */
export interface Stats {
  readonly timestamp: Date;
  /** Of the cgroup hierarchy. */
  readonly version: 1 | 2;
  readonly cpu: {
    readonly usageNs: number;
    readonly userNs: number;
    readonly systemNs: number;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    /** As the kernel counts it, the file cache included. */
    readonly usage: number;
    /** Without the file cache that can be given back at once, as docker shows it. */
    readonly workingSet: number;
    readonly limit: number | undefined;
    readonly swap: number;
  };
  readonly pids: { readonly current: number; readonly limit: number | undefined };
  readonly blockIo: { readonly readBytes: number; readonly writeBytes: number };
  /** The whole message, as the shim gave it: io.containerd.cgroups.v1.Metrics or v2. */
  readonly raw: unknown;
}
