/** What a container has printed, of its log. */
import type { CallOptions } from './calls.js';

/** Which lines, and how. Texts of times are as docker reads them: RFC 3339, whole or from the date on as far as it goes, seconds since 1970, how long ago (`10m`). */
export interface LogOptions extends CallOptions {
  /** Goes on until the container ends. */
  readonly follow?: boolean | undefined;
  /** So many lines from the end; `since` and `until` choose among them. Default: all that are kept. */
  readonly tail?: number | undefined;
  /** Lines of this time or later. */
  readonly since?: Date | string | undefined;
  /** Lines of this time or earlier. One that is to come ends the following. */
  readonly until?: Date | string | undefined;
  /** Each line begins with its time and a space. */
  readonly timestamps?: boolean | undefined;
  /** Default: true. */
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
}

/** A line, or a piece of one: what ended in no newline when it was written, or was longer than 16 KiB. */
export interface LogEntry {
  /** When the shim read it: RFC 3339 with nanoseconds, in UTC. Undefined in a log without times, whose entries are of any length. */
  readonly time: string | undefined;
  /** `stdout` in a log that keeps them not apart, and for a terminal. */
  readonly stream: 'stdout' | 'stderr';
  /** As it was printed, with its newline. */
  readonly bytes: Buffer;
}
