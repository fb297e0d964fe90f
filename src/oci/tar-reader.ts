/**
 * Reads tar archives as they occur in images: ustar with GNU's long names and PAX records (pax(1), tar(5)). tar-stream would do
 * but for PAX values, which it takes for text: extended attributes have any bytes.
 */
import * as errdefs from '../api/errdefs.js';

export type EntryType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface Entry {
  readonly name: string;
  readonly type: EntryType;
  readonly linkname: string;
  /** Permissions, with set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  readonly modified: { seconds: number; nanos: number };
  readonly accessed: { seconds: number; nanos: number } | undefined;
  readonly attributes: ReadonlyMap<string, Buffer>;
}

const BLOCK = 512;
/** Of a long name or of PAX records: more is no image's. */
const MAX_RECORDS = 1 << 20;
const TYPES = new Map<string, EntryType>([
  ['\0', 'file'], ['0', 'file'], ['7', 'file'], ['1', 'link'], ['2', 'symlink'], ['3', 'character'], ['4', 'block'], ['5', 'directory'], ['6', 'fifo'],
]);
const ATTRIBUTE = 'SCHILY.xattr.';

type Pax = Map<string, Buffer>;

/** An archive, entry by entry: {@link next}, then all of {@link body}. */
export class TarReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  /** What is left of the entry's body, and of its last block. */
  #left = 0;
  #padding = 0;
  #global: Pax = new Map();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next entry; undefined at the end. What is left of the last one's body is passed over. */
  async next(): Promise<Entry | undefined> {
    let longName: string | undefined;
    let longLink: string | undefined;
    let pax: Pax = new Map();
    for (;;) {
      await this.#skipBody();
      const header = await this.#take(BLOCK, true);
      if (header === undefined || header.every((byte) => byte === 0)) return undefined;
      checkSum(header);
      const size = readNumber(header, 124, 12);
      const type = String.fromCharCode(header[156]!);
      this.#begin(pax.has('size') ? Number(pax.get('size')) : size);
      switch (type) {
        case 'L': longName = readText(await this.#records()); break;
        case 'K': longLink = readText(await this.#records()); break;
        case 'x': pax = readPax(await this.#records()); break;
        case 'g': this.#global = new Map([...this.#global, ...readPax(await this.#records())]); break;
        default: return this.#entry(header, type, new Map([...this.#global, ...pax]), longName, longLink);
      }
    }
  }

  /** The entry's bytes. They lie in the reader's own memory until the next call. */
  async body(): Promise<Buffer | undefined> {
    if (this.#left === 0) return undefined;
    if (this.#chunk.length === 0 && !await this.#fill()) throw truncated();
    const piece = this.#chunk.subarray(0, this.#left);
    this.#chunk = this.#chunk.subarray(piece.length);
    this.#left -= piece.length;
    return piece;
  }

  /** Reads on to the end of the stream, behind the archive's own. */
  async drain(): Promise<void> {
    this.#chunk = Buffer.alloc(0);
    while (await this.#fill()) this.#chunk = Buffer.alloc(0);
  }

  #begin(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0) throw errdefs.invalidArgument(`the tar archive has an entry of ${size} bytes`);
    this.#left = size;
    this.#padding = (BLOCK - size % BLOCK) % BLOCK;
  }

  async #skipBody(): Promise<void> {
    while (await this.body() !== undefined);
    if (this.#padding > 0 && await this.#take(this.#padding, true) === undefined && this.#left > 0) throw truncated();
    this.#padding = 0;
  }

  async #records(): Promise<Buffer> {
    if (this.#left > MAX_RECORDS) throw errdefs.invalidArgument(`the tar archive has ${this.#left} bytes of records for one entry`);
    const all = Buffer.from((await this.#take(this.#left, false))!);
    this.#left = 0;
    return all;
  }

  /** So many bytes; undefined at the end, where that is allowed. */
  async #take(length: number, mayEnd: boolean): Promise<Buffer | undefined> {
    while (this.#chunk.length < length) {
      const before = this.#chunk;
      this.#chunk = Buffer.alloc(0);
      if (!await this.#fill()) {
        if (mayEnd && (before.length === 0 || length < BLOCK)) return undefined;
        throw truncated();
      }
      if (before.length > 0) this.#chunk = Buffer.concat([before, this.#chunk]);
    }
    const taken = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    return taken;
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

  #entry(header: Buffer, flag: string, pax: Pax, longName: string | undefined, longLink: string | undefined): Entry {
    // The magic tells ustar, whose prefix goes before the name, from GNU's, which has other things there.
    const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? readText(header.subarray(345, 500)) : '';
    const short = readText(header.subarray(0, 100));
    const name = pax.get('path')?.toString() ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`);
    // Archives from before POSIX mark directories by their names.
    const type = flag === '\0' && name.endsWith('/') ? 'directory' : TYPES.get(flag);
    if (type === undefined) throw errdefs.invalidArgument(`the tar archive's entry ${JSON.stringify(name)} is of type ${JSON.stringify(flag)}, which is not supported`);
    if (type !== 'file') this.#left = this.#padding = 0;
    const number = (key: string, at: number, length: number): number => pax.has(key) ? Number(pax.get(key)) : readNumber(header, at, length);
    return {
      name, type, mode: readNumber(header, 100, 8) & 0o7777, size: type === 'file' ? this.#left : 0,
      linkname: pax.get('linkpath')?.toString() ?? longLink ?? readText(header.subarray(157, 257)),
      uid: number('uid', 108, 8), gid: number('gid', 116, 8),
      major: readNumber(header, 329, 8), minor: readNumber(header, 337, 8),
      modified: readTime(pax.get('mtime')) ?? { seconds: readNumber(header, 136, 12), nanos: 0 },
      accessed: readTime(pax.get('atime')),
      attributes: new Map([...pax].flatMap(([key, value]) => key.startsWith(ATTRIBUTE) ? [[key.slice(ATTRIBUTE.length), value]] : [])),
    };
  }
}

function truncated(): Error {
  return errdefs.invalidArgument('the tar archive ends in the middle of an entry');
}

function checkSum(header: Buffer): void {
  let sum = 0;
  for (let n = 0; n < BLOCK; n++) sum += n >= 148 && n < 156 ? 32 : header[n]!;
  if (sum !== readNumber(header, 148, 8)) throw errdefs.invalidArgument('this is no tar archive, or it is damaged: a header\'s check sum is wrong');
}

function readText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

/** Octal digits, or, where the first bit is set, a big-endian number in two's complement. */
function readNumber(header: Buffer, at: number, length: number): number {
  if ((header[at]! & 0x80) !== 0) {
    let value = BigInt(header[at]! & 0x7f);
    if ((header[at]! & 0x40) !== 0) value -= 128n;
    for (let n = at + 1; n < at + length; n++) value = value * 256n + BigInt(header[n]!);
    return Number(value);
  }
  const digits = header.toString('latin1', at, at + length).replace(/\0[^]*$/, '').trim();
  return digits === '' ? 0 : parseInt(digits, 8);
}

/** Seconds with a fraction, as PAX has them. */
function readTime(value: Buffer | undefined): { seconds: number; nanos: number } | undefined {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(value?.toString() ?? '') ?? [];
  if (whole === undefined) return undefined;
  const nanos = Number(fraction.padEnd(9, '0').slice(0, 9));
  if (sign !== '-') return { seconds: Number(whole), nanos };
  return nanos === 0 ? { seconds: -Number(whole), nanos } : { seconds: -Number(whole) - 1, nanos: 1e9 - nanos };
}

/** Records of the form `LENGTH KEY=VALUE\n`, where the length counts all of it. */
function readPax(bytes: Buffer): Pax {
  const records: Pax = new Map();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? NaN : Number(bytes.toString('latin1', at, space));
    const record = bytes.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (!(length > 0) || at + length > bytes.length || equals === -1) throw errdefs.invalidArgument('the tar archive has a PAX record that cannot be read');
    records.set(record.toString('utf8', 0, equals), Buffer.from(record.subarray(equals + 1)));
    at += length;
  }
  return records;
}
