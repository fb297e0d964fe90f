/** A process of a container: how it is started, its streams, how it ends. */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { ProcessOptions } from '../spec/types.js';
import type { CallOptions } from './calls.js';

/** Which process of a container is meant: the first one, unless an exec is named. */
export interface OfProcess extends CallOptions {
  readonly exec?: string | undefined;
}

/** A name, with or without SIG, or a number. */
export type Signal = NodeJS.Signals | number | (string & {});

/** A terminal's, in characters. */
export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Where a process's stream goes.
 * - `pipe`: a stream of this process, through a FIFO
 * - `inherit`: this process's own stream
 * - `ignore`: nowhere; for stdin, at its end from the beginning
 * - anything else: a path or URI for the shim, such as `file:///var/log/x.log` or `binary:///usr/bin/logger`
 */
export type StdioTarget = 'pipe' | 'inherit' | 'ignore' | (string & {});

/** Where each of a process's streams goes. */
export interface StdioOptions {
  /** Default `ignore`. */
  readonly stdin?: StdioTarget | undefined;
  /** Default `pipe`. It must be read, or else the process stops when the pipe is full, as with any child process. */
  readonly stdout?: StdioTarget | undefined;
  /** Default `pipe`; a terminal has none. */
  readonly stderr?: StdioTarget | undefined;
}

/** What another process of a container is. */
export interface ExecOptions extends ProcessOptions, StdioOptions, CallOptions {
  /** Its id in the container; one is made up unless given. */
  readonly id?: string | undefined;
  readonly size?: WindowSize | undefined;
}

/** What a process is whose output is collected. */
export interface OutputOptions extends ProcessOptions, CallOptions {
  /** Written to its input, which ends then. */
  readonly input?: string | Uint8Array | undefined;
  /** More of either stream is a ResourceExhaustedError, and the process is killed. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  readonly encoding?: 'utf8' | 'buffer' | undefined;
}

/** What a process has written, and how it has ended. */
export interface Output<T = string> {
  readonly stdout: T;
  readonly stderr: T;
  /** 128 and the signal's number for a process that a signal has ended. */
  readonly exitCode: number;
}

/** What a process has written so far. */
export interface PartialOutput<T = string> {
  readonly stdout: T;
  readonly stderr: T;
}

/** How a process has ended. */
export interface Exit {
  /** 128 and the signal's number for a process that a signal has ended. */
  readonly exitCode: number;
  readonly exitedAt: Date;
}

/** A process of a container: its first one, or an exec. */
export interface Process {
  /** The exec's id; the container's for its first process. */
  readonly id: string;
  readonly containerId: string;
  readonly pid: number;
  readonly terminal: boolean;
  /**
   * Ends the process's input when it is ended (half-close); at a terminal by typing the character for that, ctrl-d. A stream that can't be
   * written to unless `stdin` is `pipe`.
   */
  readonly stdin: Writable;
  /** Ends when the process has ended, with its last byte. An empty stream unless `stdout` is `pipe`. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** `stdin` and `stdout` as one stream, for what takes a connection. Nothing else may be reading `stdout` then. */
  readonly duplex: Duplex;
  /** How it has ended. The signal ends the waiting, not the process. */
  wait(options?: CallOptions): Promise<Exit>;
  /**
   * Collects all output up to its end. Nothing else may be reading the streams. The signal ends the waiting, not the process: what was read
   * is the error's `output`, and another call goes on from there and gives all of it.
   */
  result(options?: ResultOptions & { readonly encoding?: 'utf8' }): Promise<Output<string>>;
  /** The same, as bytes. */
  result(options: ResultOptions & { readonly encoding: 'buffer' }): Promise<Output<Buffer>>;
  /** The container's stop signal unless given; for an exec SIGTERM. No error when it has ended already. */
  kill(signal?: Signal, options?: CallOptions & { readonly all?: boolean | undefined }): Promise<void>;
  /** Gives its terminal another size. */
  resize(size: WindowSize, options?: CallOptions): Promise<void>;
  /** The same as ending `stdin`: what was written reaches the process, then the end does. Resolves when that is under way. */
  closeStdin(options?: CallOptions): Promise<void>;
  /** Closes our ends of its streams. The process goes on, and can be attached to again. */
  detach(): void;
}

/** How output is collected. */
export interface ResultOptions extends CallOptions {
  /** More of either stream is a ResourceExhaustedError. Default 64 MiB. */
  readonly maxBytes?: number | undefined;
  readonly encoding?: 'utf8' | 'buffer' | undefined;
}

/** What a process is doing. */
export type TaskState = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

/** A process as its shim knows it. */
export interface TaskStatus {
  readonly containerId: string;
  /** The exec's id; the container's for its first process. */
  readonly id: string;
  readonly state: TaskState;
  readonly pid: number;
  /** Once it is stopped. */
  readonly exit: Exit | undefined;
  readonly terminal: boolean;
  /** The paths and URIs that it was given. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** One process of a container. */
export interface ProcessSummary {
  readonly pid: number;
  /** Of the exec that it is; undefined for the container's first process and for what processes have started themselves. */
  readonly exec: string | undefined;
}
