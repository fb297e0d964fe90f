import type { Metadata } from './metadata.js';

/** Who is at the other end of a unix socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** One client's connection, as its handlers see it. */
export interface ConnectionInfo {
  /** Counts from 1 in each server. */
  readonly id: number;
  /** When it was accepted, by performance.now(). */
  readonly openedAt: number;
  /** Known when the server checks it: `authorize: 'same-user'`. */
  readonly peer: PeerCredentials | undefined;
  /** For whatever handlers want to keep for as long as the client is connected. */
  readonly state: Map<unknown, unknown>;
}

/** What a handler is told besides its request. */
export interface CallContext {
  /** Tells it from the other calls of its connection. */
  readonly streamId: number;
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  /** When the request came, in milliseconds since the epoch. */
  readonly started: number;
  /** When the caller gives up, in milliseconds since the epoch; undefined when it has set no limit. */
  readonly deadline: number | undefined;
  /** The reply has been given, or its connection is gone: nobody hears the result any more. */
  readonly answered: boolean;
  /**
   * Aborts when nobody waits for the result any more: the deadline has passed (a TimeoutError) or the peer is gone (an
   * AbortError). Costs nothing until it is read.
   */
  readonly signal: AbortSignal;
  /** Same as `connection.peer`. */
  readonly peer: PeerCredentials | undefined;
  readonly connection: ConnectionInfo;
}

/** A call that is being handled. */
export interface ActiveCall {
  readonly service: string;
  readonly method: string;
  /** In milliseconds since the epoch. */
  readonly started: number;
  readonly streamId: number;
  readonly connectionId: number;
  readonly peer: PeerCredentials | undefined;
}

/**
 * Sees every call before its handler does. `next` runs the handler: it gives or promises the result of a method with one
 * reply, and a promise that is kept after the last message of one with many. `request` is undefined where the client streams.
 */
export type ServerInterceptor = (context: CallContext, request: unknown, next: () => unknown) => unknown;
