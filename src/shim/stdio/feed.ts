/** Input that comes from a file: the process gets a pipe, as it could reopen the file itself, for writing too. */
import { close, read } from 'node:fs';
import { promisify } from 'node:util';
import { copyDescriptor, SysError } from '../../sys/index.js';
import { Pump } from './pump.js';
import type { Sink } from './sink.js';

const CHUNK = 64 * 1024;
const [readFile, closeFile] = [promisify(read), promisify(close)];

/** A copy under way, from a client's input to its process. */
export interface Feed {
  /** Ends at once. The descriptors may be closed after this. */
  stop(): void;
}

/**
 * Copies until the source ends.
 *
 * @param source a FIFO or a terminal that does not block, or what is always ready: a file, /dev/null
 * @param onEnd called once, when the source has ended, or the process has closed its input. Not after stop()
 */
export function startFeed(source: number, sink: Sink, onEnd: () => void): Feed {
  try {
    return new Pump(source, sink, { onEnd });
  } catch (error) {
    // Only what may make one wait can be waited for (epoll_ctl(2)).
    if (!(error instanceof SysError) || error.code !== 'EPERM') throw error;
    return new FileFeed(source, sink, onEnd);
  }
}

class FileFeed implements Feed {
  /** Its own, as a read may be under way when the caller closes theirs. */
  readonly #fd: number;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(
    source: number,
    private readonly sink: Sink,
    private readonly onEnd: () => void,
  ) {
    this.#fd = copyDescriptor(source);
    void this.#run();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.sink.close();
    this.#wake();
  }

  async #run(): Promise<void> {
    try {
      await this.#copy();
    } catch {
      // A file that cannot be read is at its end, and so is one that nobody reads any more.
    }
    await closeFile(this.#fd);
    if (this.#stopped) return;
    this.stop();
    this.onEnd();
  }

  async #copy(): Promise<void> {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      const { bytesRead } = await readFile(this.#fd, buffer, 0, CHUNK, null);
      if (this.#stopped || bytesRead === 0) return;
      for (let at = 0; at < bytesRead;) {
        const n = this.sink.write(buffer, at, bytesRead);
        at += n;
        if (n === 0) await new Promise<void>((resolve) => this.sink.whenRoom((this.#wake = resolve)));
        if (this.#stopped) return;
      }
    }
  }
}
