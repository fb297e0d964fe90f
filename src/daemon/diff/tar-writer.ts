/** Writes headers of tar archives: ustar, with PAX records for what does not fit (pax(1)). */
import type { EntryType } from '../../oci/tar-reader.js';

const BLOCK = 512;
const FLAGS: Record<EntryType, string> = { file: '0', link: '1', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6' };
/** Largest numbers that an octal field takes. */
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;

export interface Header {
  readonly name: string;
  readonly type: EntryType;
  readonly linkname?: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly major?: number;
  readonly minor?: number;
  readonly modified: { seconds: number; nanos: number };
  readonly attributes?: ReadonlyMap<string, Buffer>;
}

/** The blocks in front of an entry's body. */
export function encodeHeader(header: Header): Buffer {
  const name = header.type === 'directory' && !header.name.endsWith('/') ? `${header.name}/` : header.name;
  const { linkname = '', modified: { seconds, nanos } } = header;
  const records = new Map<string, Buffer | string>();
  if (!fits(name, 100)) records.set('path', name);
  if (!fits(linkname, 100)) records.set('linkpath', linkname);
  if (header.uid > MAX_ID) records.set('uid', String(header.uid));
  if (header.gid > MAX_ID) records.set('gid', String(header.gid));
  if (header.size > MAX_SIZE) records.set('size', String(header.size));
  if (nanos !== 0 || seconds < 0 || seconds > MAX_SIZE) records.set('mtime', decimal(seconds, nanos));
  for (const [key, value] of header.attributes ?? []) records.set(`SCHILY.xattr.${key}`, value);
  const main = block({ ...header, name: cut(name), linkname: cut(linkname) }, FLAGS[header.type]);
  if (records.size === 0) return main;
  const body = Buffer.concat([...records].map(([key, value]) => record(key, value)));
  const front = block({ name: cut(`PaxHeaders.0/${header.name.split('/').at(-1) ?? ''}`), type: 'file', mode: 0, uid: 0, gid: 0, size: body.length, modified: { seconds: 0, nanos: 0 } }, 'x');
  return Buffer.concat([front, body, padding(body.length), main]);
}

/** What fills up the last block of so many bytes. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - size % BLOCK) % BLOCK);
}

/** An archive's end. */
export const END = Buffer.alloc(2 * BLOCK);

function block(header: Header, flag: string): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    const text = Math.max(0, value).toString(8);
    // What does not fit is in a PAX record.
    bytes.write((text.length < length ? text : '0').padStart(length - 1, '0'), at, 'latin1');
  };
  bytes.write(header.name, 0, 100);
  octal(header.mode & 0o7777, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.modified.seconds, 136, 12);
  bytes.write('        ', 148, 'latin1');
  bytes.write(flag, 156, 'latin1');
  bytes.write(header.linkname ?? '', 157, 100);
  bytes.write('ustar\x0000', 257, 'latin1');
  octal(header.major ?? 0, 329, 8);
  octal(header.minor ?? 0, 337, 8);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

function fits(text: string, bytes: number): boolean {
  // Only ASCII is the same to all readers.
  return Buffer.byteLength(text) <= bytes && Buffer.byteLength(text) === text.length;
}

/** For readers that know no PAX; whole characters of at most 100 bytes. */
function cut(text: string): string {
  let end = text.length;
  while (Buffer.byteLength(text.slice(0, end)) > 100) end--;
  return text.slice(0, end);
}

function decimal(seconds: number, nanos: number): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const size = total < 0n ? -total : total;
  const fraction = String(size % 1_000_000_000n).padStart(9, '0').replace(/0+$/, '');
  return `${total < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

function record(key: string, value: Buffer | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
