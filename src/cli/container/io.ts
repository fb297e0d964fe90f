/** What a command has of a container's process: something to show, and perhaps something to type to. */
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Process } from '../../client/index.js';
import { ending, type Position } from '../log/files.js';
import { LogFollower } from '../log/follow.js';
import { copyOut } from '../terminal/write.js';

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

/** By the FIFOs that the client library has opened. */
export function fifoIo(process_: Process, interactive: boolean): ContainerIo {
  return {
    input: interactive ? process_.stdin : undefined,
    show: async (seen) => {
      await Promise.all([
        copyOut(process_.stdout, process.stdout, seen),
        ...(process_.terminal ? [] : [copyOut(process_.stderr, process.stderr, seen)]),
      ]);
    },
    ended: () => undefined,
    leave: () => process_.detach(),
  };
}

/** Has what is left of an exec that has ended taken away before the connection closes. */
export async function tidied(process_: Process): Promise<void> {
  const { done } = process_ as Process & { readonly done?: Promise<void> };
  await done;
}

/** By its log, and the FIFO of its input. */
export function logIo(log: string | undefined, stdin: string | undefined, from?: Position): ContainerIo {
  const follower = log === undefined ? undefined : new LogFollower(log, from ?? ending(log));
  const input = stdin === undefined ? undefined : openInput(stdin);
  let over: () => void = () => undefined;
  const nothing = new Promise<void>((resolve) => {
    over = resolve;
  });
  return {
    input,
    show: (seen) => (follower ? copyOut(follower, process.stdout, seen) : nothing),
    ended: (complete) => {
      follower?.end(complete);
      over();
    },
    leave: () => {
      follower?.stop();
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
