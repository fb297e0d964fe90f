/** The client's ends of a process's FIFOs, as ctr and dockerd hold them. */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { tryWrite } from '../../src/sys/index.js';
import { eventually } from './eventually.js';

/** Reads a FIFO from now on. */
export class FifoReader {
  /** Everything, once the last writer is gone. */
  readonly ended: Promise<Buffer>;
  readonly #chunks: Buffer[] = [];
  readonly #socket: Socket;
  #bytes = 0;

  constructor(path: string) {
    this.#socket = new Socket({
      fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    this.ended = new Promise((resolve, reject) => {
      this.#socket.on('data', (chunk: Buffer) => {
        this.#chunks.push(chunk);
        this.#bytes += chunk.length;
      });
      this.#socket.once('end', () => resolve(Buffer.concat(this.#chunks)));
      this.#socket.once('error', reject);
    });
    this.ended.catch(() => undefined);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  /** Reads nothing until resume(): what the process writes stays in the pipe. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The text, when it contains this. */
  async saw(part: string | RegExp): Promise<string> {
    return eventually(`output with ${String(part)}, it is ${JSON.stringify(this.text.slice(-300))}`, () => {
      const { text } = this;
      return (typeof part === 'string' ? text.includes(part) : part.test(text)) ? text : undefined;
    });
  }

  /** Goes away, as a client that was killed. */
  async close(): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => this.#socket.once('close', resolve).destroy());
  }
}

/** Writes into a FIFO that somebody has open for reading. */
export class FifoWriter {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static async open(path: string): Promise<FifoWriter> {
    const fd = await eventually(`a reader of ${path}`, () => {
      try {
        return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENXIO') return undefined;
        throw error;
      }
    });
    return new FifoWriter(fd);
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(data as string);
    for (let at = 0; at < bytes.length;) {
      const n = await eventually('room in the FIFO', () => tryWrite(this.#fd!, bytes, at));
      at += n;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
