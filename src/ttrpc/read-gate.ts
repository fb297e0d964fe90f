import type { ConnectionSocket } from './connection-socket.js';

/** Stops reading from a socket for as long as anybody wants it stopped. */
export class ReadGate {
  readonly #holders = new Set<object>();

  constructor(private readonly socket: ConnectionSocket) {}

  hold(holder: object): void {
    this.#holders.add(holder);
    this.socket.pause();
  }

  /** Nobody wants it stopped. */
  get isOpen(): boolean {
    return this.#holders.size === 0;
  }

  release(holder: object): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.socket.resume();
  }
}
