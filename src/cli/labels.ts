import { LOG_LABEL } from '../client/log/place.js';

/** What the command line keeps with a container, in the daemon: labels. */
export const LABEL = {
  /** URI of the log, or none. */
  log: LOG_LABEL,
  /** Path of the FIFO for its input, or none. */
  stdin: 'io.hawser/stdin',
  /** The last run, as {@link LastRun} in JSON. One label, so that it is never half written. */
  run: 'io.hawser/run',
  /** Of containers that were made before the client library kept it (io.containerd.image.config.stop-signal). */
  stopSignal: 'io.hawser/stop-signal',
  autoRemove: 'io.hawser/auto-remove',
  /** Seconds that `stop` waits, when it was said for the container. */
  stopTimeout: 'io.hawser/stop-timeout',
  /** The directory that a container was made from. */
  rootfs: 'io.hawser/rootfs',
} as const;

export const PREFIX = 'io.hawser/';

/** Times are as RFC 3339 has them. How it ended is there when its task is gone; while there is one, that knows better. */
export interface LastRun {
  readonly startedAt?: string;
  readonly exitCode?: number;
  readonly exitedAt?: string;
}

export function lastRun(labels: Readonly<Record<string, string>>): LastRun {
  const text = labels[LABEL.run];
  return text === undefined ? {} : (JSON.parse(text) as LastRun);
}

export function runLabel(run: LastRun): Record<string, string> {
  return { [LABEL.run]: JSON.stringify(run) };
}
