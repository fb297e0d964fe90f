/** Reads a pipe while nobody may be given yet what comes out of it. */
import { READABLE, tryRead, Watch } from '../../sys/index.js';

const CHUNK = 4096;
/** No runtime says more of its own failures; what does is output. */
const MOST = 64 * 1024;

export class Held {
  readonly #watch: Watch;
  readonly #bytes: Buffer[] = [];
  #length = 0;
  #taken = false;

  /**
   * @param source a non-blocking descriptor, which stays the caller's
   * @param onFull called once when there is more than can be held, after which nothing is read until it is taken
   */
  constructor(
    private readonly source: number,
    private readonly onFull: () => void,
  ) {
    this.#watch = new Watch(source, () => this.#read());
    this.#watch.want(READABLE);
  }

  /** All that has been written up to now; nothing the second time. The source may be read by others after this. */
  take(): Buffer {
    if (this.#taken) return Buffer.alloc(0);
    while (this.#readOne());
    this.stop();
    return Buffer.concat(this.#bytes);
  }

  /** What was read is forgotten. */
  stop(): void {
    this.#taken = true;
    this.#watch.close();
  }

  #read(): void {
    const n = this.#readOne();
    // At its end it would be ready without end.
    if (n === 0) this.#watch.want(0);
    if (this.#length < MOST) return;
    this.#watch.want(0);
    this.onFull();
  }

  /** How many bytes there were; 0 at the end, or when there is no more room, undefined when there are none yet. */
  #readOne(): number | undefined {
    if (this.#length >= MOST) return 0;
    const chunk = Buffer.allocUnsafe(CHUNK);
    const n = tryRead(this.source, chunk);
    if (!n) return n;
    this.#bytes.push(chunk.subarray(0, n));
    this.#length += n;
    return n;
  }
}
