import { checked, SysError } from './error.js';
import { native } from './native.js';

/** Events of a {@link Watch}. */
export const READABLE = 1;
export const WRITABLE = 2;

/**
 * Calls back when a descriptor is ready, for descriptors that no Node stream takes (pidfds, pty masters, eventfds, or
 * FIFOs read and written by hand). Level-triggered. The descriptor stays the caller's: close the watch first.
 */
export class Watch {
  readonly #poll: Poll;
  #wanted = 0;

  /**
   * Starts paused. `callback` gets the ready events; an error of the descriptor counts as all of those wanted, and pauses.
   *
   * @param shared another watch may have the descriptor, as that of a terminal, which is read by one and written by another;
   *   without it a second one is an error (EEXIST)
   */
  constructor(
    fd: number,
    private readonly callback: (events: number) => void,
    shared = false,
  ) {
    this.#poll = (shared ? polls.get(fd) : undefined) ?? new Poll(fd);
    this.#poll.watches.add(this);
  }

  /** Which events to wait for from now on: READABLE, WRITABLE, both, or 0 for none. */
  want(events: number): void {
    if (!this.#isOpen || events === this.#wanted) return;
    this.#wanted = events;
    this.#poll.update();
  }

  /**
   * What comes on this connection is answered without the callback, where an answer is ready (keepAnswers) and nothing but READABLE is
   * wanted. Once, and not for one that shares its descriptor.
   *
   * @param ledger has at `place` a word that must be `quiet`, and behind it the last stream that the client has begun, which is kept up to date
   */
  answers(ledger: Uint32Array, place: number, quiet: number): void {
    native.watchAnswering(this.#poll.handle, ledger, place, quiet);
  }

  /** For the poll alone: what is waited for. */
  get wanted(): number {
    return this.#wanted;
  }

  /** For the poll alone: something has happened. */
  ready(status: number, events: number): void {
    if (!this.#isOpen) return;
    const wanted = this.#wanted;
    const mine = status < 0 ? wanted : events & wanted;
    // libuv pauses a watch whose descriptor has an error; asking for the same events again must not be a no-op then.
    if (status < 0) this.#wanted = 0;
    if (mine !== 0) this.callback(mine);
  }

  /** The watch alone no longer keeps the process running. Not for one that shares its descriptor. */
  unref(): this {
    if (this.#isOpen) native.watchUnref(this.#poll.handle);
    return this;
  }

  /** No callback comes after this. A second call does nothing. */
  close(): void {
    if (!this.#poll.watches.delete(this)) return;
    if (this.#poll.watches.size === 0) this.#poll.close();
    else this.#poll.update();
  }

  get #isOpen(): boolean {
    return this.#poll.watches.has(this);
  }
}

/** Those that are open, by descriptor. */
const polls = new Map<number, Poll>();

/** What the loop has of a descriptor, which it takes once only. */
class Poll {
  readonly handle: unknown;
  readonly watches = new Set<Watch>();
  #wanted = 0;

  constructor(private readonly fd: number) {
    const handle = native.watchOpen(fd, (status, events) => {
      if (status < 0) this.#wanted = 0;
      for (const watch of [...this.watches]) watch.ready(status, events);
    });
    if (typeof handle === 'number') throw new SysError(handle, 'epoll_ctl', fd);
    this.handle = handle;
    polls.set(fd, this);
  }

  /** Waits for what any of the watches wants. */
  update(): void {
    const wanted = [...this.watches].reduce((all, watch) => all | watch.wanted, 0);
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    checked(native.watchFor(this.handle, wanted), 'epoll_ctl');
  }

  close(): void {
    polls.delete(this.fd);
    native.watchClose(this.handle);
  }
}
