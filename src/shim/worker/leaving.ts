/** What a worker leaves with its monitor: descriptors, by their place in a list, and what is done with each meanwhile. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { GivenRecord, Resting } from '../../sys/index.js';

/** With one message (unix(7), SCM_MAX_FD). */
const MOST = 250;

/** The place of what is to be opened anew. */
export const NOWHERE = -1;

/** There is something that no other worker could go on with; the message says what. */
export class CannotRest extends Error {
  override readonly name = 'CannotRest';
}

export class Leaving {
  readonly #all: Resting[] = [];

  /**
   * @param isSudden it is for the case that this process ends without a word, in the middle of whatever it does, and has gone on
   *   until then
   */
  constructor(readonly isSudden = false) {}

  /** There is something under way. A sudden end does not ask; else it is to be waited for. @throws CannotRest */
  underWay(what: string): void {
    if (!this.isSudden) throw new CannotRest(what);
  }
  readonly #opened: number[] = [];

  get all(): readonly Resting[] {
    return this.#all;
  }

  /** Its place in the list. */
  keep(fd: number): number {
    return this.#add({ fd, how: 'kept' });
  }

  /** There is to be a worker when it can be read, or is hung up. */
  wakes(fd: number): number {
    return this.#add({ fd, how: 'wakes' });
  }

  /** There is to be a worker when the kernel says that a file of its own has changed since now (kernfs_generic_poll). */
  changes(path: string): number {
    if (this.isSudden) return NOWHERE;
    const fd = openSync(path, 'r');
    this.#opened.push(fd);
    readSync(fd, Buffer.alloc(4096));
    return this.#add({ fd, how: 'changes' });
  }

  /** It is not left after all: what was opened for it is closed. */
  giveUp(): void {
    for (const fd of this.#opened.splice(0)) closeSync(fd);
  }

  /** One that is kept is copied into another, which is kept too; both by their places. */
  copies(from: number, into: number): void {
    if (this.isSudden) return;
    this.#all[from] = { fd: this.#all[from]!.fd, how: 'copied', into };
  }

  keepAll(named: Readonly<Record<string, number>>): Record<string, number> {
    return Object.fromEntries(Object.entries(named).map(([name, fd]) => [name, this.keep(fd)]));
  }

  #add(one: Resting): number {
    if (this.#all.length >= MOST) throw new CannotRest(`there are more than ${MOST} descriptors`);
    return this.#all.push(one) - 1;
  }
}

/** The other end: what an earlier worker has left, by the same places. */
export class Found {
  readonly #unclaimed: Set<number>;

  constructor(private readonly given: Pick<GivenRecord, 'fds' | 'held' | 'shared'>) {
    this.#unclaimed = new Set(given.fds.keys());
  }

  fd(place: number): number {
    this.#unclaimed.delete(place);
    return this.given.fds[place]!;
  }

  /** Connections that were accepted when the record was handed over already, and files that were opened. */
  get shared(): readonly number[] {
    return this.given.shared;
  }

  /** Closes what nobody has asked for: it was of something that is no more. */
  closeRest(): void {
    for (const place of this.#unclaimed) closeSync(this.given.fds[place]!);
    this.#unclaimed.clear();
  }

  /** What a copy has read of it, and not written. */
  held(place: number): Buffer {
    return this.given.held[place]!;
  }

  all(places: Readonly<Record<string, number>>): Record<string, number> {
    return Object.fromEntries(Object.entries(places).map(([name, place]) => [name, this.fd(place)]));
  }
}
