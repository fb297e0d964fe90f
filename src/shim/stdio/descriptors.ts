import { closeSync } from 'node:fs';
import type { Changes } from '../observe/changes.js';

/**
 * The descriptors of one process's stdio, by name. Each has one owner, which is this: closing twice would close a
 * number that meanwhile belongs to somebody else (contract §8, 50).
 */
export class Descriptors {
  readonly #open = new Map<string, number>();

  /** @param changes told of what is closed: others may have it, too, and it ends for its other side when the last does */
  constructor(private readonly changes?: Pick<Changes, 'note'>) {}

  /** Takes ownership. */
  add(name: string, fd: number): number {
    if (this.#open.has(name)) throw new Error(`descriptor ${name} is open already`);
    this.#open.set(name, fd);
    return fd;
  }

  get(name: string): number | undefined {
    return this.#open.get(name);
  }

  /** Closes those that are open; names that are not are passed over. */
  close(...names: string[]): void {
    for (const name of names) {
      const fd = this.#open.get(name);
      if (fd === undefined) continue;
      this.changes?.note();
      this.#open.delete(name);
      closeSync(fd);
    }
  }

  closeAll(): void {
    this.close(...this.#open.keys());
  }

  /** Takes ownership of all of these. */
  addAll(named: Readonly<Record<string, number>>): void {
    for (const [name, fd] of Object.entries(named)) this.add(name, fd);
  }

  /** For the state dump, and for who goes on with them. */
  list(): Record<string, number> {
    return Object.fromEntries(this.#open);
  }
}
