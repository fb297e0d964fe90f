/** The FIFO in a bundle that a shim logs to (contract §1.8). */
import { closeSync, constants, openSync } from 'node:fs';
import { makeFifo, READABLE, tryRead, Watch } from '../../sys/index.js';

/** A line that is longer than this is told of in parts. */
const MAX_LINE = 64 * 1024;
/** Read at most so much at a time: others are to have their turn. */
const CHUNK = 64 * 1024;
const chunk = Buffer.allocUnsafe(CHUNK);

export class LogFifo {
  readonly #fd: number;
  readonly #watch: Watch;
  #rest = '';

  private constructor(
    fd: number,
    private readonly onLine: (line: string) => void,
  ) {
    this.#fd = fd;
    this.#watch = new Watch(fd, () => this.#read()).unref();
    this.#watch.want(READABLE);
  }

  /**
   * Makes the FIFO if it isn't there and passes on each line. It is open for writing too, so that it has no end while shims
   * come and go, and opening it waits for nobody.
   */
  static open(path: string, onLine: (line: string) => void): LogFifo {
    try {
      makeFifo(path, 0o700);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      return new LogFifo(fd, onLine);
    } catch (error) {
      // Not a FIFO: epoll takes no plain files.
      closeSync(fd);
      throw error;
    }
  }

  /** Passes on what is still in it, and lets go of it. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#read();
    this.#watch.close();
    closeSync(this.#fd);
    if (this.#rest !== '') this.onLine(this.#rest);
  }

  #closed = false;

  #read(): void {
    const n = tryRead(this.#fd, chunk);
    if (n === undefined || n === 0) return;
    const lines = (this.#rest + chunk.toString('utf8', 0, n)).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    for (const line of lines) if (line !== '') this.onLine(line);
  }
}
