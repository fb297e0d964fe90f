/** What a process's stdio is, whatever its URIs became. */
import type { Observations } from '../observe/observations.js';

import type { Leaving } from '../worker/leaving.js';
import type { RestingLogFile } from './log/log-file.js';
import type { RestingLogger } from './log/logger.js';

export type StreamName = 'stdout' | 'stderr';

export interface StdioRequest {
  /** As the client gave them: FIFO paths or URIs; empty for none. */
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  /** Owner of what the process gets, for containers with a user namespace. */
  uid: number;
  gid: number;
  /** The init of the container that an exec's process is to run in; undefined for an init. */
  init: number | undefined;
  /** For logging binaries: the container's or exec's id, and the namespace. */
  id: string;
  namespace: string;
  /** The container's annotation about sinks that die; empty for none. */
  onDeath: string;
}

/** What is left of where output goes: a FIFO or device has nothing but its descriptors. */
export interface RestingTarget {
  /** Both may have the same. */
  readonly streams: readonly StreamName[];
  readonly descriptors: Readonly<Record<string, number>>;
  readonly file?: RestingLogFile;
  readonly logger?: RestingLogger;
}

/** What a worker that rests leaves of a process's stdio: plain data; descriptors by their places in the list that goes with it. */
export interface RestingStdio {
  readonly descriptors: Readonly<Record<string, number>>;
  /** Names of the copies under way, by which the monitor goes on. */
  readonly copying: readonly string[];
  readonly input: boolean;
  readonly targets: readonly RestingTarget[];
  /** It has not been made yet: what it is to be given is among the descriptors. */
  readonly isGiven?: boolean;
  /** Streams that are read for the sake of who writes to them, and copied to a /dev/null meanwhile. */
  readonly lost?: readonly StreamName[];
  readonly nowhere?: number | undefined;
  readonly stdinClosed?: boolean;
  readonly exited?: boolean;
  readonly size?: readonly [number, number] | undefined;
}

/** Who is told what streams wait for, and how much they copy. */
export type StdioObserver = Pick<Observations, 'waits' | 'counters' | 'changes'>;

/** The stdio of one process from before it exists until it is deleted. Every method may be called in any state. */
export interface Stdio {
  /** Descriptors to give to the runtime; undefined with a terminal. */
  readonly given: readonly number[] | undefined;
  /** Path for the runtime's `--console-socket`; undefined without a terminal. */
  readonly consoleSocket: string | undefined;
  /** The runtime has the given descriptors: our copies are closed. */
  handedOver(): void;
  /**
   * The runtime has failed, and the process never ran: what was written to its standard error, which no client gets then.
   * Nothing with a terminal.
   */
  printed(): string;
  /** The process exists: with a terminal, waits for its master and starts copying. */
  attach(): Promise<void>;
  /**
   * The process is about to run for the first time. A client that has closed its end of stdin by now is done with it,
   * even if its CloseIO got lost: some send it only when they know of the task, and by then have read their input's end.
   */
  beforeStart(): void;
  /** Our own writer of stdin goes; the process sees the end once the client's is gone too. */
  closeStdin(): void;
  /** Does nothing without a terminal. */
  resize(columns: number, rows: number): void;
  /**
   * The process has ended: what it wrote is copied to its end, then the client gets the end.
   *
   * @param noneLeft no process of the container is left, so whoever still holds the other ends is none of it
   */
  processExited(noneLeft: boolean): void;
  /**
   * The client still has output to read: resolves when it has read it, or does not go on reading. Undefined when there
   * is nothing to wait for.
   */
  beingRead(): Promise<void> | undefined;
  /** Resolves when all output is where the client finds it; at the latest after the time. True when it is. */
  drained(timeoutMs: number): Promise<boolean>;
  /** Frees everything, whatever the state. */
  close(): Promise<void>;
  /**
   * Leaves it to another process. Nothing of it may be touched after this.
   *
   * @throws CannotRest when it can't be, and then nothing has changed
   */
  rest(leaving: Leaving): RestingStdio;
  /** For the state dump. */
  describe(): Record<string, unknown>;
}
