/** Accepting: who waits at a listening socket. */
import { closeSync } from 'node:fs';
import { acceptByMonitor, listenOn, READABLE, setNonblock, SysError, tryAccept, Watch } from '../../sys/index.js';

/** How soon it is tried again where a descriptor was to be had for nobody, say. */
const RETRY_MS = 100;
/** In one turn: what the monitor has accepted it keeps until the next record, which comes after that, and for fewer than twice as many (monitor/monitor.c). */
const AT_ONCE = 64;

/**
 * Accepts all that wait in one turn of the loop, or many of them. Node's server accepts one, and before the next it serves all that
 * are there already: of many that come at once, the last would wait for the first ones' hundredth requests.
 */
export class Acceptor {
  readonly #watch: Watch;
  #retry: NodeJS.Timeout | undefined;
  #isOpen = true;

  /**
   * @param fd listens, and is this one's from now on
   * @param accepted is given a connection's descriptor, non-blocking
   * @param by who accepts: what the monitor has accepted outlives us
   */
  constructor(
    private readonly fd: number,
    private readonly accepted: (fd: number) => void,
    private readonly failed: (error: Error) => void,
    private readonly by: 'us' | 'monitor' = 'us',
  ) {
    // Who has made it may have had it otherwise.
    setNonblock(fd, true);
    listenOn(fd);
    this.#watch = new Watch(fd, () => this.#accept());
    this.#watch.want(READABLE);
  }

  /** Nobody is accepted any more; whoever still waits is hung up on. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#retry);
    this.#watch.close();
    closeSync(this.fd);
  }

  #waiting(most: number): readonly number[] {
    if (this.by === 'monitor') return acceptByMonitor(this.fd, most);
    const fd = tryAccept(this.fd);
    return fd === undefined ? [] : [fd];
  }

  #accept(): void {
    try {
      for (let count = 0; this.#isOpen && count < AT_ONCE;) {
        const all = this.#waiting(AT_ONCE - count);
        if (all.length === 0) break;
        for (const fd of all) {
          if (this.#isOpen) this.accepted(fd);
          else closeSync(fd);
        }
        count += all.length;
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.failed(error);
      // Who waits goes on waiting, and the socket would be ready all the while.
      this.#watch.want(0);
      this.#retry = setTimeout(() => this.#watch.want(READABLE), RETRY_MS);
    }
  }
}
