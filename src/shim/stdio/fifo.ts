/** Opening the client's FIFOs: never blocking, and never missing its first or last byte. */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const { O_APPEND, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
/** A handle on the file itself, which opens nothing (open(2)). Node does not name it. */
const O_PATH = 0o10000000;

/** How long a client may take to open its end (contract appendix B). */
export const OPEN_TIMEOUT_MS = 30_000;

/** Where a process's output is copied to. */
export interface Output {
  /**
   * Never blocks. Of a FIFO it is both ends: while a read end of our own is open, a client that goes away costs no EPIPE, and
   * what was written waits for the client's return.
   */
  fd: number;
  isFifo: boolean;
}

/**
 * Opens the FIFO, or the file to append to, that a process's output goes to. For a FIFO this waits, bounded, until its
 * client has it open for reading, as there is nobody else to tell that the client is missing.
 */
export async function openOutput(path: string, timeoutMs = OPEN_TIMEOUT_MS): Promise<Output> {
  return withHandle(path, 'w/o', async (handle, isFifo) => {
    if (!isFifo) return { fd: openSync(handle, O_WRONLY | O_APPEND | O_NONBLOCK), isFifo };
    const probe = await openWhenRead(handle, timeoutMs);
    try {
      return { fd: openSync(handle, O_RDWR | O_NONBLOCK), isFifo };
    } finally {
      closeSync(probe);
    }
  });
}

/** A read end alone, of a FIFO of which both are open: without ours its client finds the end, and what lies in it stays. */
export function openRest(both: number): number {
  return openSync(`/proc/self/fd/${both}`, O_RDONLY | O_NONBLOCK);
}

/**
 * Opens the FIFO, or the file, that a process reads; waits for nobody, and never blocks. While it is open, a client that writes
 * to a process which has ended gets no EPIPE. A FIFO is hung up once a client has been there and has left, and not before.
 */
export async function openInput(path: string): Promise<number> {
  return withHandle(path, 'r/o', (handle) => openSync(handle, O_RDONLY | O_NONBLOCK));
}

/** A write end of our own: the process sees the end only when this is closed too (CloseIO). */
export function openKeeper(input: number): number {
  return openSync(`/proc/self/fd/${input}`, O_WRONLY | O_NONBLOCK);
}

/**
 * Both ends of the FIFO that a process reads, in one: while it is open, nobody who opens an end has to wait. Undefined
 * when there is no such FIFO.
 */
export function openBothEnds(path: string): number | undefined {
  if (!path || statSync(path, { throwIfNoEntry: false })?.isFIFO() !== true) return undefined;
  return openSync(path, O_RDWR | O_NONBLOCK);
}

/** Runs with a path that stays this very file, even when the client unlinks or renames it meanwhile. */
async function withHandle<T>(
  path: string,
  how: string,
  open: (handle: string, fifo: boolean) => T | Promise<T>,
): Promise<T> {
  let fd: number | undefined;
  try {
    fd = openSync(path, O_PATH);
    return await open(`/proc/self/fd/${fd}`, fstatSync(fd).isFIFO());
  } catch (error) {
    throw new Error(
      `containerd-shim: opening ${how} fifo ${JSON.stringify(path)} failed: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** ENXIO says that nobody reads yet. The kernel tells no one when that changes, so this asks again, ever more slowly. */
async function openWhenRead(handle: string, timeoutMs: number): Promise<number> {
  const deadline = Date.now() + timeoutMs;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      return openSync(handle, O_WRONLY | O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    if (Date.now() >= deadline) throw new Error(`nobody opened it for reading within ${timeoutMs / 1000} s`);
    await delay(pause);
  }
}
