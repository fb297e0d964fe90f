/** What a command has of a container's process: something to show, and perhaps something to type to. */
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Process } from '../../client/index.js';
import type { LogStream } from '../../client/log/entries.js';
import { ending, type Position } from '../../client/log/files.js';
import type { LogPlace } from '../../client/log/place.js';
import { LogReader } from '../../client/log/reader.js';
import type { LogWriter } from '../log/writer.js';
import { copyBoth, copyOut } from '../terminal/write.js';

export interface ContainerIo {
  /** Undefined when it has no input that is open. */
  readonly input: Writable | undefined;
  /** Writes its output to this command's. Resolves when the process has ended, and all is written. */
  show(seen?: () => void): Promise<void>;
  /** It has ended; `complete` when its output is known to be all there. */
  ended(complete: boolean): void;
  /** Nothing more is shown or typed; the process goes on. */
  leave(): void;
}

/** What a process prints to; a terminal's is all standard output. */
export const OUTPUTS: readonly LogStream[] = ['stdout', 'stderr'];

/**
 * By the FIFOs that the client library has opened.
 *
 * @param log keeps what comes, shown or not
 */
export function fifoIo(
  process_: Process,
  interactive: boolean,
  { log, shown = OUTPUTS }: { readonly log?: LogWriter | undefined; readonly shown?: readonly LogStream[] } = {},
): ContainerIo {
  const pass = async (name: LogStream, seen?: () => void): Promise<void> => {
    const chunks = log === undefined ? process_[name] : keep(process_[name], (chunk) => log.write(name, chunk));
    if (shown.includes(name)) await copyOut(chunks, process[name], seen);
    else await readAway(chunks);
  };
  return {
    input: interactive ? process_.stdin : undefined,
    show: async (seen) => {
      await Promise.all(OUTPUTS.slice(0, process_.terminal ? 1 : 2).map((name) => pass(name, seen)));
      log?.close();
    },
    ended: () => undefined,
    leave: () => process_.detach(),
  };
}

async function* keep(from: AsyncIterable<Uint8Array>, write: (chunk: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of from) {
    write(chunk);
    yield chunk;
  }
}

async function readAway(from: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of from);
}

/** Has what is left of an exec that has ended taken away before the connection closes. */
export async function tidied(process_: Process): Promise<void> {
  const { done } = process_ as Process & { readonly done?: Promise<void> };
  await done;
}

/** By its log, and the FIFO of its input. */
export function logIo(
  log: LogPlace | undefined,
  {
    stdin,
    from,
    shown = OUTPUTS,
  }: {
    readonly stdin: string | undefined;
    readonly from?: Position | undefined;
    readonly shown?: readonly LogStream[];
  },
): ContainerIo {
  const reader =
    log === undefined || shown.length === 0
      ? undefined
      : new LogReader(log, { from: from ?? ending(log.path), streams: shown });
  const input = stdin === undefined ? undefined : openInput(stdin);
  let over: () => void = () => undefined;
  const nothing = new Promise<void>((resolve) => {
    over = resolve;
  });
  return {
    input,
    show: (seen) => (reader ? copyBoth(reader, seen) : nothing),
    ended: (complete) => {
      reader?.end(complete);
      over();
    },
    leave: () => {
      reader?.stop();
      input?.destroy();
      over();
    },
  };
}

/** The write end of a FIFO that the shim reads; undefined when nobody does. */
function openInput(path: string): Writable | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENXIO', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    const socket = new Socket({ fd, readable: false, writable: true });
    // Whoever read it is gone with the container, whose end is told otherwise.
    socket.on('error', () => socket.destroy());
    return socket;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
