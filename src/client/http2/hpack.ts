/** Headers as HTTP/2 packs them (HPACK, RFC 7541): all that may be sent is read, and the simplest is written. */
import { COMPRESSION_ERROR, HttpError } from './codes.js';
import { decodeHuffman } from './huffman.js';

export type Header = readonly [name: string, value: string];

/** Appendix A, by index from 1. */
const STATIC: readonly Header[] = (
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|' +
  ':status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|' +
  'accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|' +
  'content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|' +
  'if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|' +
  'proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|' +
  'transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map((entry): Header => {
    const space = entry.indexOf(' ');
    return space < 0 ? [entry, ''] : [entry.slice(0, space), entry.slice(space + 1)];
  });

/** What a table may hold by default, in bytes; nobody here asks for another. */
const TABLE_SIZE = 4096;
/** What an entry takes besides its text (section 4.1). */
const ENTRY = 32;
const INDEXED = 0x80;
const KEPT = 0x40;
const RESIZED = 0x20;
const HUFFMAN = 0x80;

/** Reads what one connection sends: what it has sent before counts. */
export class HeaderReader {
  /** The newest first. */
  readonly #table: Header[] = [];
  #size = 0;
  #most = TABLE_SIZE;

  /** @throws HttpError for what is no block of headers */
  read(block: Buffer): Header[] {
    const cursor = new Cursor(block);
    const headers: Header[] = [];
    while (!cursor.isAtEnd) {
      const first = cursor.peek();
      if (first & INDEXED) headers.push(this.#entry(cursor.integer(7)));
      else if (first & KEPT) {
        const header = this.#literal(cursor, 6);
        this.#keep(header);
        headers.push(header);
      } else if (first & RESIZED) this.#resize(cursor.integer(5));
      else headers.push(this.#literal(cursor, 4));
    }
    return headers;
  }

  #literal(cursor: Cursor, bits: number): Header {
    const index = cursor.integer(bits);
    const name = index === 0 ? cursor.text() : this.#entry(index)[0];
    return [name, cursor.text()];
  }

  #entry(index: number): Header {
    const entry = index <= STATIC.length ? STATIC[index - 1] : this.#table[index - STATIC.length - 1];
    if (!entry) throw new HttpError(COMPRESSION_ERROR, `a header is entry ${index} of a table that has no such entry`);
    return entry;
  }

  #resize(size: number): void {
    if (size > TABLE_SIZE) throw new HttpError(COMPRESSION_ERROR, `the table of headers cannot have ${size} bytes`);
    this.#most = size;
    this.#shrink();
  }

  #keep(header: Header): void {
    this.#table.unshift(header);
    this.#size += sizeOf(header);
    this.#shrink();
  }

  #shrink(): void {
    while (this.#size > this.#most) this.#size -= sizeOf(this.#table.pop()!);
  }
}

function sizeOf([name, value]: Header): number {
  return name.length + value.length + ENTRY;
}

class Cursor {
  #at = 0;

  constructor(private readonly block: Buffer) {}

  get isAtEnd(): boolean {
    return this.#at >= this.block.length;
  }

  peek(): number {
    const byte = this.block[this.#at];
    if (byte === undefined) throw new HttpError(COMPRESSION_ERROR, 'the headers are cut off');
    return byte;
  }

  /** Section 5.1: in the last bits of a byte, or in what follows if they are all ones. */
  integer(bits: number): number {
    const most = (1 << bits) - 1;
    let value = this.peek() & most;
    this.#at++;
    if (value < most) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = this.peek();
      this.#at++;
      if (shift > 21) throw new HttpError(COMPRESSION_ERROR, 'a number in the headers is too large');
      value += (byte & 0x7f) << shift;
      if (!(byte & 0x80)) return value;
    }
  }

  text(): string {
    const isCoded = (this.peek() & HUFFMAN) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.block.length) throw new HttpError(COMPRESSION_ERROR, 'the headers are cut off');
    const bytes = this.block.subarray(this.#at, end);
    this.#at = end;
    return isCoded ? decodeHuffman(bytes) : bytes.toString('latin1');
  }
}

const NAMED = new Map(STATIC.map(([name], n) => [name, n + 1] as const).reverse());

/** Nothing that the other side would have to keep. @throws TypeError for what no header can be */
export function writeHeaders(headers: readonly Header[]): Buffer {
  const pieces: Buffer[] = [];
  for (const [name, value] of headers) {
    if (!/^:?[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) throw new TypeError(`${JSON.stringify(name)} is no header's name`);
    if (!/^[\t\x20-\x7e]*$/.test(value))
      throw new TypeError(`header ${name}: ${JSON.stringify(value)} has a character that is none of printable ASCII`);
    const index = NAMED.get(name);
    if (index === undefined) pieces.push(integer(0, 4, 0), text(name));
    else pieces.push(integer(index, 4, 0));
    pieces.push(text(value));
  }
  return Buffer.concat(pieces);
}

function text(value: string): Buffer {
  return Buffer.concat([integer(value.length, 7, 0), Buffer.from(value, 'latin1')]);
}

function integer(value: number, bits: number, flags: number): Buffer {
  const most = (1 << bits) - 1;
  if (value < most) return Buffer.from([flags | value]);
  const bytes = [flags | most];
  let rest = value - most;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
