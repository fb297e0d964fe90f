/**
 * The database: one LMDB environment (lmdb-js), of records that are messages of the API, under keys of words.
 *
 * A write is one transaction, and its promise is kept once the kernel has the commit on disk: lmdb-js would by default answer
 * when a commit is visible and flush it later (`overlappingSync`), so that is off. lmdb-js batches the writes of one turn into
 * one commit on a thread of its own, thus many writes cost about one flush.
 */
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { errdefs } from '../../api/full.js';
import type { MessageType } from '../../ttrpc/service.js';

/** What LMDB takes at most is 1978 bytes, some of which are the table's name and marks between words. */
const MAX_KEY = 1900;

export type Key = readonly string[];

export interface Row<T> {
  readonly key: string[];
  readonly value: T;
}

export class Database {
  readonly #env: RootDatabase<Buffer, string[]>;
  /** Set while a write's function runs, which no `await` can interrupt. */
  #writing = false;

  /** Opens or makes the database in a file. Throws with the file's name when it is damaged or held in another format. */
  constructor(readonly file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      checkMagic(file);
      this.#env = open<Buffer, string[]>({ path: file, noSubdir: true, encoding: 'binary', overlappingSync: false });
    } catch (error) {
      throw new Error(
        `cannot open the metadata database ${file}: ${(error as Error).message}; move it away to start with an empty one`,
        { cause: error },
      );
    }
  }

  /**
   * Runs a function in a write transaction, in turn with all others. It reads what writes before it left. It has to throw
   * before its first change or not at all, as lmdb-js does not take changes back.
   */
  async write<R>(change: () => R): Promise<R> {
    // What it throws is carried around lmdb-js, which would report it as its own.
    const outcome = await this.#env.transaction((): { value: R } | { error: unknown } => {
      this.#writing = true;
      try {
        return { value: change() };
      } catch (error) {
        return { error };
      } finally {
        this.#writing = false;
      }
    });
    // Reads share a view of the database that lasts for a while; from here on they must see this change.
    this.#env.resetReadTxn();
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  get(key: Key): Buffer | undefined {
    return this.#env.get(checkKey(key));
  }

  /** All under a prefix of whole words, in order. */
  range(prefix: Key): { key: string[]; value: Buffer }[] {
    const found = [];
    for (const row of this.#env.getRange({ start: [...prefix] })) {
      if (!prefix.every((word, n) => row.key[n] === word)) break;
      found.push(row);
    }
    return found;
  }

  put(key: Key, value: Uint8Array): void {
    if (!this.#writing) throw new Error('a record is changed outside of a write');
    // Done at once, as it is inside a transaction; the promise is but a form.
    void this.#env.put(checkKey(key), Buffer.from(value));
  }

  remove(key: Key): void {
    if (!this.#writing) throw new Error('a record is removed outside of a write');
    void this.#env.remove(checkKey(key));
  }

  async close(): Promise<void> {
    await this.#env.close();
  }
}

/** Records of one type. The key's words follow the table's name. */
export class Table<T> {
  constructor(
    readonly db: Database,
    readonly name: string,
    readonly type: MessageType<T>,
  ) {}

  get(...key: string[]): T | undefined {
    const value = this.db.get([this.name, ...key]);
    return value === undefined ? undefined : this.type.decode(value);
  }

  has(...key: string[]): boolean {
    return this.db.get([this.name, ...key]) !== undefined;
  }

  /** Records whose keys begin with these words; the keys that it gives are without the table's name. */
  rows(...prefix: string[]): Row<T>[] {
    return this.db
      .range([this.name, ...prefix])
      .map(({ key, value }) => ({ key: key.slice(1), value: this.type.decode(value) }));
  }

  list(...prefix: string[]): T[] {
    return this.rows(...prefix).map(({ value }) => value);
  }

  put(key: Key, value: T): void {
    this.db.put([this.name, ...key], this.type.encode(value).finish());
  }

  remove(...key: string[]): void {
    this.db.remove([this.name, ...key]);
  }
}

/**
 * lmdb-js crashes the process over a file that is no database. LMDB's is empty before its first use; else its first page has a
 * magic number of four bytes after a header of 24 (mdb.c, MDB_meta).
 */
function checkMagic(file: string): void {
  const head = Buffer.alloc(28);
  const fd = openSync(file, 'a+', 0o600);
  try {
    const length = readSync(fd, head, 0, head.length, 0);
    if (length !== 0 && (length < head.length || head.readUInt32LE(24) !== 0xbeefc0de))
      throw new Error('it is not an LMDB database');
  } finally {
    closeSync(fd);
  }
}

function checkKey(key: Key): string[] {
  const length = key.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  if (length > MAX_KEY)
    throw errdefs.invalidArgument(
      `the name ${JSON.stringify(key.at(-1)?.slice(0, 64))}… has more than ${MAX_KEY} bytes, and is to be shorter`,
    );
  if (key.some((word) => word.includes('\0')))
    throw errdefs.invalidArgument(`the name ${JSON.stringify(key.at(-1))} must not have a NUL in it`);
  return [...key];
}
