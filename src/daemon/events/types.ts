import type { containerd, google } from '../../api/full.js';

export type Envelope = containerd.services.events.v1.Envelope.$Properties;
type Any = google.protobuf.Any.$Properties;

/** Of which time events are wanted, in nanoseconds since the epoch; both ends are meant. Without `since` those that come from now on. */
export interface Window {
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

/** Events of the daemon and of its shims, for whoever subscribes. */
export interface Exchange {
  /** An event of the daemon's own, of now. */
  publish(namespace: string, topic: string, event: Any): void;
  /** One that comes from elsewhere with its envelope; InvalidArgument when the envelope is not in order (contract §4.2). */
  forward(envelope: Envelope): void;
  /**
   * Events from now on (and, just after the daemon's start, exits that nobody has heard) that match one of the filters (all, when there is none), in order, until the signal aborts. Each
   * subscriber has a queue of its own. InvalidArgument for a filter that cannot be read.
   *
   * @param window with `since`, first those of the last events that are of that time or later; an `until` that is over is the end
   */
  subscribe(filters: readonly string[], signal: AbortSignal, window?: Partial<Window>): AsyncIterable<Envelope>;
}
