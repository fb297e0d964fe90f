/** Descriptors of directories, kept for the next call. */
import { closeSync } from 'node:fs';
import type { ByteString } from '../sys/byte-string.js';

/** Those that were asked for last. */
export class HeldDirectories {
  readonly #fds = new Map<ByteString, number>();

  /** @param most how many are kept */
  constructor(private readonly most: number) {}

  has(path: ByteString): boolean {
    return this.#fds.has(path);
  }

  /** Opens it unless it is open. Good until others are asked for. */
  hold(path: ByteString, open: () => number): number {
    const fd = this.#fds.get(path) ?? open();
    // The newest comes last, and is the last to go.
    this.#fds.delete(path);
    this.#fds.set(path, fd);
    for (const [oldest, other] of this.#fds) {
      if (this.#fds.size <= this.most) break;
      closeSync(other);
      this.#fds.delete(oldest);
    }
    return fd;
  }

  close(): void {
    for (const fd of this.#fds.values()) closeSync(fd);
    this.#fds.clear();
  }
}
