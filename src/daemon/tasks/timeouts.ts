/** How long the daemon waits for shims, in milliseconds (contract §1.15). Keys are those of containerd's `[timeouts]`. */
export interface Timeouts {
  /** `io.containerd.timeout.shim.load`: finding a shim again after a restart. */
  readonly load: number;
  /** `io.containerd.timeout.shim.cleanup`: a shim's `delete` action. */
  readonly cleanup: number;
  /** `io.containerd.timeout.shim.shutdown`: asking a shim to end. */
  readonly shutdown: number;
  /** `io.containerd.timeout.task.state`: asking for a task's state. */
  readonly state: number;
  /** `io.containerd.timeout.metrics.shimstats`: asking for a task's metrics. */
  readonly stats: number;
  /** `io.hawser.timeout.shim.start`: a shim's `start` action. */
  readonly start: number;
}

export const TIMEOUT_KEYS: Readonly<Record<keyof Timeouts, string>> = {
  load: 'io.containerd.timeout.shim.load',
  cleanup: 'io.containerd.timeout.shim.cleanup',
  shutdown: 'io.containerd.timeout.shim.shutdown',
  state: 'io.containerd.timeout.task.state',
  stats: 'io.containerd.timeout.metrics.shimstats',
  start: 'io.hawser.timeout.shim.start',
};

export const DEFAULT_TIMEOUTS: Timeouts = {
  load: 5_000,
  cleanup: 5_000,
  shutdown: 3_000,
  state: 2_000,
  stats: 2_000,
  start: 60_000,
};

/** Those that are given by their keys, in milliseconds; the rest as they are. */
export function timeoutsOf(given: Readonly<Record<string, number>> = {}): Timeouts {
  const timeouts: { -readonly [Key in keyof Timeouts]: number } = { ...DEFAULT_TIMEOUTS };
  for (const [name, key] of Object.entries(TIMEOUT_KEYS))
    timeouts[name as keyof Timeouts] = given[key] ?? timeouts[name as keyof Timeouts];
  return timeouts;
}
