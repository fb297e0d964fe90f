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
  readonly #handle: unknown;
  #wanted = 0;
  #open = true;

  /** Starts paused. `callback` gets the ready events; an error of the descriptor counts as all of those wanted, and pauses. */
  constructor(fd: number, callback: (events: number) => void) {
    const handle = native.watchOpen(fd, (status, events) => {
      if (!this.#open) return;
      const wanted = this.#wanted;
      // libuv pauses a watch whose descriptor has an error; asking for the same events again must not be a no-op then.
      if (status < 0) this.#wanted = 0;
      callback(status < 0 ? wanted : events);
    });
    if (typeof handle === 'number') throw new SysError(handle, 'epoll_ctl', fd);
    this.#handle = handle;
  }

  /** Which events to wait for from now on: READABLE, WRITABLE, both, or 0 for none. */
  want(events: number): void {
    if (!this.#open || events === this.#wanted) return;
    this.#wanted = events;
    checked(native.watchFor(this.#handle, events), 'epoll_ctl');
  }

  /** The watch alone no longer keeps the process running. */
  unref(): this {
    if (this.#open) native.watchUnref(this.#handle);
    return this;
  }

  /** No callback comes after this. A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    native.watchClose(this.#handle);
  }
}
