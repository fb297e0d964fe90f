/** What comes of a stream, kept for whoever asks, and asks again. */
import type { Readable } from 'node:stream';
import { Code } from '../../ttrpc/status.js';
import { ResourceExhaustedError } from '../errors.js';

export class Collected {
  /** Resolves at the stream's end. */
  readonly ended: Promise<void>;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** @param maxBytes more is a ResourceExhaustedError, and ends the reading */
  constructor(
    stream: Readable,
    private readonly what: string,
    public maxBytes: number,
  ) {
    this.ended = this.#read(stream);
    this.ended.catch(() => undefined);
  }

  /** All that has come so far. */
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async #read(stream: Readable): Promise<void> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length > this.maxBytes)
        throw new ResourceExhaustedError(
          Code.ResourceExhausted,
          `${this.what} is more than ${this.maxBytes} bytes; raise maxBytes, or read the stream: resource exhausted`,
        );
    }
  }
}
