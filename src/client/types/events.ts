/** What a daemon tells: its events, and what they say about containers. */
import type { CallOptions } from './calls.js';
import type { Exit } from './process.js';

/** Which events are wanted. */
export interface EventsOptions {
  /** containerd's filters: `topic~="^/tasks/"`, `namespace==default`. An event that any of them selects is given; all without. */
  readonly filters?: readonly string[] | undefined;
  /**
   * Events of this time or later, of those that the daemon still has: hawserd the last 1000 since it was started. A text is as docker reads it: RFC 3339, whole
   * or from the date on as far as it goes, seconds since 1970, how long ago (`10m`). Default: from now on.
   */
  readonly since?: Date | string | undefined;
  /** Events of this time or earlier: then comes the end. */
  readonly until?: Date | string | undefined;
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
