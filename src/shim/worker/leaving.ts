/** What a worker leaves with its monitor: descriptors, by their place in a list, and what is done with each meanwhile. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { SysError, type EntryStream, type GivenRecord, type Resting } from '../../sys/index.js';

/** With one message (unix(7), SCM_MAX_FD). */
const MOST = 250;

/** As many as the monitor serves (monitor/copy.h). */
const MOST_COPIES = 64;

/** The place of what is to be opened anew. */
export const NOWHERE = -1;

/** There is something that no other worker could go on with; the message says what. */
export class CannotRest extends Error {
  override readonly name = 'CannotRest';
}

/** An error that keeps a worker from leaving, and is no defect: something is under way, no descriptor is left, or too many are on their way. */
export function keepsFromLeaving(error: unknown): error is CannotRest | SysError {
  return error instanceof CannotRest || error instanceof SysError;
}

/** What something is copied into: one that is kept, by its place. */
export interface Sink {
  readonly place: number;
  /** How many bytes it takes before there is to be a worker. Default: any number. */
  readonly most?: number | undefined;
  /** It is a log, and gets entries of this stream, so many bytes of them. */
  readonly stream?: EntryStream | undefined;
}

/** What has become of a copy. */
export interface Copied {
  /** What was read of its source, and not written; for a log, entries. */
  readonly held: Buffer;
  /** How many bytes were written; for a log, read. */
  readonly bytes: number;
}

export class Leaving {
  readonly #all: Resting[] = [];
  readonly #opened: number[] = [];

  /**
   * @param isSudden it is for the case that this process ends without a word, in the middle of whatever it does, and has gone on
   *   until then
   */
  constructor(readonly isSudden = false) {}

  /** There is something under way. A sudden end does not ask; else it is to be waited for. @throws CannotRest */
  underWay(what: string): void {
    if (!this.isSudden) throw new CannotRest(what);
  }

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

  /** One that is kept, by its place, is copied. There is to be a worker when there is something to copy where no sink is given, or no byte may go there. */
  copies(from: number, into: Sink | undefined): void {
    if (this.isSudden) return;
    const { fd } = this.#all[from]!;
    if (this.#all.filter(({ how }) => how === 'copied' || how === 'logged').length >= MOST_COPIES)
      throw new CannotRest(`there are more than ${MOST_COPIES} copies`);
    if (into === undefined || into.most === 0) this.#all[from] = { fd, how: 'wakes' };
    else if (into.stream === undefined) this.#all[from] = { fd, how: 'copied', into: into.place, most: into.most };
    else this.#all[from] = { fd, how: 'logged', into: into.place, most: into.most, stream: into.stream };
  }

  /** For what is to be read and forgotten. Who goes on has it to close. Undefined for a sudden end, for which nothing is copied. */
  nowhere(): Sink | undefined {
    if (this.isSudden) return undefined;
    const fd = openSync('/dev/null', constants.O_WRONLY | constants.O_NONBLOCK);
    this.#opened.push(fd);
    return { place: this.keep(fd) };
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

  constructor(private readonly given: Pick<GivenRecord, 'fds' | 'held' | 'copied' | 'shared'>) {
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

  /** What has become of its copy. */
  copied(place: number): Copied {
    return { held: this.given.held[place]!, bytes: this.given.copied[place]! };
  }

  all(places: Readonly<Record<string, number>>): Record<string, number> {
    return Object.fromEntries(Object.entries(places).map(([name, place]) => [name, this.fd(place)]));
  }
}
