/**
 * Reads tar archives as they occur in images: ustar with GNU's long names and sparse files, and PAX records (pax(1), tar(5)).
 * Names are bytes, as tar-stream's are not, and what it does not know is refused.
 */
import * as errdefs from '../api/errdefs.js';
import { fromBytes, shown, type ByteString } from '../sys/byte-string.js';
import {
  BLOCK,
  checkSum,
  damaged,
  dialectOf,
  NO_PAX,
  readDecimal,
  readNumber,
  readPax,
  readText,
  readTime,
  type Moment,
  type Pax,
} from './tar-header.js';
import { checkSparse, readOldSparse, readPaxSparse, type Extent, type SparseFile } from './tar-sparse.js';

export type EntryType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface Entry {
  readonly name: ByteString;
  readonly type: EntryType;
  readonly linkname: ByteString;
  /** Permissions, with set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file's content, with its holes. */
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  readonly modified: Moment;
  readonly accessed: Moment | undefined;
  readonly attributes: ReadonlyMap<ByteString, Buffer>;
}

/** Bytes of a file, and where in it they belong. */
export interface Piece {
  readonly at: number;
  readonly data: Buffer;
}

/** Of a long name or of PAX records: more is no image's. */
const MAX_RECORDS = 16 << 20;
const MAX_OWNER = 2 ** 32 - 1;
const SPARSE = 'S';
const TYPES = new Map<string, EntryType>([
  ['\0', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  [SPARSE, 'file'],
  ['1', 'link'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);
const ATTRIBUTE = 'SCHILY.xattr.';
const ZEROS = Buffer.alloc(256 << 10);

/** What stands in front of an entry and belongs to it. */
interface Extension {
  pax: Pax;
  name: ByteString | undefined;
  link: ByteString | undefined;
}

/** An archive, entry by entry: {@link next}, then all of {@link body} or of {@link piece}. */
export class TarReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  /** What is stored for the entry and was not read yet, and what fills its last block. */
  #left = 0;
  #padding = 0;
  /** Where what is left belongs. */
  #extents: readonly Extent[] = [];
  #extent = 0;
  #used = 0;
  #size = 0;
  /** How far {@link body} has come, and what it has read ahead, behind a hole. */
  #at = 0;
  #ahead: Piece | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next entry; undefined at the end. What is left of the last one's body is passed over. */
  async next(): Promise<Entry | undefined> {
    const extension: Extension = { pax: NO_PAX, name: undefined, link: undefined };
    for (;;) {
      await this.#skipBody();
      const header = await this.#take(BLOCK, true);
      if (header === undefined) return undefined;
      if (isZero(header)) {
        const second = await this.#take(BLOCK, true);
        if (second === undefined || isZero(second)) return undefined;
        throw damaged('goes on behind one block of zeros: it is damaged, or several archives in one');
      }
      checkSum(header);
      const size = readNumber(header, 124, 12, 'size');
      const type = String.fromCharCode(header[156]!);
      switch (type) {
        case 'L':
          extension.name = readText(await this.#records(size));
          break;
        case 'K':
          extension.link = readText(await this.#records(size));
          break;
        case 'x':
          extension.pax = readPax(await this.#records(size));
          break;
        // Comments such as git's. What they say of all files no program for images has ever applied.
        case 'g':
          this.#begin(size);
          break;
        default:
          return this.#entry(header, size, type, extension);
      }
    }
  }

  /** The next bytes of the entry's file, holes left out. They lie in the reader's own memory until the next call. */
  async piece(): Promise<Piece | undefined> {
    if (this.#left === 0) return undefined;
    if (this.#chunk.length === 0 && !(await this.#fill())) throw truncated();
    for (; this.#extents[this.#extent]!.length === this.#used; this.#extent++) this.#used = 0;
    const { at, length } = this.#extents[this.#extent]!;
    const data = this.#chunk.subarray(0, length - this.#used);
    const piece = { at: at + this.#used, data };
    this.#chunk = this.#chunk.subarray(data.length);
    this.#left -= data.length;
    this.#used += data.length;
    return piece;
  }

  /** The entry's bytes, holes as zeros. They are not to be written to, and lie in the reader's own memory until the next call. */
  async body(): Promise<Buffer | undefined> {
    this.#ahead ??= await this.piece();
    const hole = (this.#ahead?.at ?? this.#size) - this.#at;
    const data = hole > 0 ? ZEROS.subarray(0, hole) : this.#ahead?.data;
    if (hole <= 0) this.#ahead = undefined;
    this.#at += data?.length ?? 0;
    return data;
  }

  /** Reads on to the end of the stream, behind the archive's own. */
  async drain(): Promise<void> {
    this.#chunk = Buffer.alloc(0);
    while (await this.#fill()) this.#chunk = Buffer.alloc(0);
  }

  /** Sets out to read so many stored bytes, which are a file's unless something else is said of them. */
  #begin(size: number): void {
    if (size < 0) throw damaged(`has an entry of ${size} bytes`);
    this.#left = this.#size = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    this.#extents = [{ at: 0, length: size }];
    this.#extent = this.#used = 0;
    this.#at = 0;
    this.#ahead = undefined;
  }

  async #skipBody(): Promise<void> {
    while ((await this.piece()) !== undefined);
    if (this.#padding > 0) await this.#take(this.#padding, true);
    this.#padding = 0;
  }

  async #records(size: number): Promise<Buffer> {
    if (size > MAX_RECORDS) throw damaged(`has ${size} bytes of records for one entry`);
    this.#begin(size);
    return Buffer.from(await this.#stored(size));
  }

  /** Bytes of what is stored for the entry. */
  async #stored(length: number): Promise<Buffer> {
    if (length > this.#left) throw damaged('has an entry that is shorter than what it says of itself');
    this.#left -= length;
    return (await this.#take(length, false))!;
  }

  /** So many bytes; undefined at the end, where that is allowed: in place of a header, or in what fills the last block. */
  async #take(length: number, mayEnd: boolean): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#chunk.length === 0 && !(await this.#fill())) {
        if (mayEnd && (missing === length || length < BLOCK)) return undefined;
        throw truncated();
      }
      const piece = this.#chunk.subarray(0, missing);
      this.#chunk = this.#chunk.subarray(piece.length);
      missing -= piece.length;
      pieces.push(piece);
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      return true;
    }
  }

  async #entry(
    given: Buffer,
    size: number,
    flag: string,
    { pax, name: longName, link: longLink }: Extension,
  ): Promise<Entry> {
    // What is read of the map of a sparse file may take its place in memory.
    const header = Buffer.from(given);
    // An empty value takes back what is said elsewhere, which nobody does: the header's own holds.
    const get = (key: string): Buffer | undefined =>
      pax.records.get(key as ByteString)?.length ? pax.records.get(key as ByteString) : undefined;
    const text = (key: string): ByteString | undefined => get(key) && fromBytes(get(key)!);
    const number = (key: string, at: number, length: number): number =>
      get(key) ? readDecimal(get(key)!, key) : readNumber(header, at, length, key);
    const storedName = longName ?? text('path') ?? nameIn(header);
    const name = text('GNU.sparse.name') ?? storedName;
    // Archives from before POSIX mark directories by their names.
    const type = flag === '\0' && storedName.endsWith('/') ? 'directory' : TYPES.get(flag);
    if (type === undefined)
      throw damaged(`has the entry ${shown(name)} of type ${JSON.stringify(flag)}, which is not supported`);
    try {
      this.#begin(type !== 'file' ? 0 : get('size') ? readDecimal(get('size')!, 'size') : size);
      this.#spread(
        type,
        flag === SPARSE
          ? await readOldSparse(header, async (length) => (await this.#take(length, false))!)
          : await readPaxSparse(pax, (length) => this.#stored(length)),
      );
      const owner = (key: string, at: number): number => {
        const id = number(key, at, 8);
        if (id < -1 || id > MAX_OWNER) throw damaged(`has ${id} as ${key}, which no file can have`);
        return id;
      };
      const device = type === 'character' || type === 'block';
      return {
        name,
        type,
        size: this.#size,
        linkname: longLink ?? text('linkpath') ?? readText(header.subarray(157, 257)),
        mode: readNumber(header, 100, 8, 'mode') & 0o7777,
        uid: owner('uid', 108),
        gid: owner('gid', 116),
        major: device ? readNumber(header, 329, 8, 'device number') : 0,
        minor: device ? readNumber(header, 337, 8, 'device number') : 0,
        modified: get('mtime')
          ? readTime(get('mtime')!, 'mtime')
          : { seconds: readNumber(header, 136, 12, 'mtime'), nanos: 0 },
        accessed: get('atime') && readTime(get('atime')!, 'atime'),
        attributes: attributesIn(pax),
      };
    } catch (error) {
      if (error instanceof Error) error.message = `entry ${shown(name)}: ${error.message}`;
      throw error;
    }
  }

  /** Has what is stored belong where a sparse file's map says. */
  #spread(type: EntryType, sparse: SparseFile | undefined): void {
    if (sparse === undefined) return;
    if (type !== 'file') throw damaged(`has a ${type} that would be a sparse file`);
    checkSparse(sparse, this.#left);
    this.#extents = sparse.extents;
    this.#size = sparse.size;
  }
}

function truncated(): Error {
  return errdefs.invalidArgument('the tar archive ends in the middle of an entry');
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function nameIn(header: Buffer): ByteString {
  const name = readText(header.subarray(0, 100));
  const prefix = readText(header.subarray(345, 500));
  return prefix !== '' && hasPrefix(header) ? (`${prefix}/${name}` as ByteString) : name;
}

/** GNU's format has times where ustar has the prefix. Programs in Go before 1.8 did not know, and old images are made by them. */
function hasPrefix(header: Buffer): boolean {
  const dialect = dialectOf(header);
  if (dialect !== 'gnu') return dialect === 'ustar';
  const times = [header.toString('latin1', 345, 357), header.toString('latin1', 357, 369)];
  return (
    !times.every((time) => /^[\x80-\xff]|^[ \0]*[0-7]*[ \0]*$/.test(time)) &&
    header.subarray(345, 500).every((byte) => byte < 0x80)
  );
}

/** Extended attributes. As a key cannot have an equals sign, GNU tar writes `%3D` for it, and `%25` for a percent sign. */
function attributesIn({ records }: Pax): Map<ByteString, Buffer> {
  const found = new Map<ByteString, Buffer>();
  for (const [key, value] of records) {
    if (key.startsWith(ATTRIBUTE))
      found.set(
        key.slice(ATTRIBUTE.length).replace(/%3D|%25/g, (code) => (code === '%3D' ? '=' : '%')) as ByteString,
        value,
      );
  }
  return found;
}
