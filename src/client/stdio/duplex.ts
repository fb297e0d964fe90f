/** A process's input and output as one stream. */
import { Duplex, type Readable, type Writable } from 'node:stream';

type Callback = (error?: Error | null) => void;

/** Ending it ends the input, its end is the output's, and destroying it closes both. What is written to a process that has ended is dropped. */
export class ProcessDuplex extends Duplex {
  constructor(
    private readonly input: Writable,
    private readonly output: Readable,
  ) {
    super({ allowHalfOpen: true });
    // Not before somebody reads.
    output.pause();
    output.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) output.pause();
    });
    output.once('end', () => this.push(null));
    output.once('close', () => {
      if (!output.readableEnded) this.destroy(output.errored ?? undefined);
    });
    input.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.output.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: Callback): void {
    if (this.input.destroyed) callback();
    else this.input.write(chunk, encoding, (error) => callback(this.input.destroyed ? undefined : error));
  }

  override _final(callback: Callback): void {
    if (this.input.destroyed) callback();
    else this.input.end(() => callback());
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.input.destroy();
    this.output.destroy();
    callback(error);
  }
}
