/** Writes headers of tar archives: ustar, with PAX records for what does not fit (pax(1)). */
import type { Moment } from './tar-header.js';
import type { EntryType } from './tar-reader.js';
import { baseOf, EMPTY, toBytes, type ByteString } from '../sys/byte-string.js';

const BLOCK = 512;
const FLAGS: Record<EntryType, string> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};
/** Largest numbers that an octal field takes. */
const MAX_ID = 0o7777777;
const MAX_SIZE = 0o77777777777;

export interface Header {
  readonly name: ByteString;
  readonly type: EntryType;
  readonly linkname?: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly major?: number;
  readonly minor?: number;
  readonly modified: Moment;
  readonly attributes?: ReadonlyMap<ByteString, Buffer>;
}

/**
 * The blocks in front of an entry's body. Names that are long, or not ASCII, are in PAX records, as the bytes that they are: so Go's
 * archive/tar writes them for containerd, and GNU tar and Python's tarfile read them back.
 */
export function encodeHeader(header: Header): Buffer {
  const name =
    header.type === 'directory' && !header.name.endsWith('/') ? (`${header.name}/` as ByteString) : header.name;
  const {
    linkname = EMPTY,
    modified: { seconds, nanos },
  } = header;
  const records = new Map<string, Buffer | string>();
  if (!fits(name)) records.set('path', toBytes(name));
  if (!fits(linkname)) records.set('linkpath', toBytes(linkname));
  if (header.uid > MAX_ID) records.set('uid', String(header.uid));
  if (header.gid > MAX_ID) records.set('gid', String(header.gid));
  if (header.size > MAX_SIZE) records.set('size', String(header.size));
  if (nanos !== 0 || seconds < 0 || seconds > MAX_SIZE) records.set('mtime', decimal(seconds, nanos));
  for (const [key, value] of header.attributes ?? []) records.set(`SCHILY.xattr.${attributeKey(key)}`, value);
  const main = block({ ...header, name: cut(name), linkname: cut(linkname) }, FLAGS[header.type]);
  if (records.size === 0) return main;
  const body = Buffer.concat([...records].map(([key, value]) => record(key, value)));
  const front = block(
    {
      name: cut(`PaxHeaders.0/${baseOf(header.name)}` as ByteString),
      type: 'file',
      mode: 0,
      uid: 0,
      gid: 0,
      size: body.length,
      modified: { seconds: 0, nanos: 0 },
    },
    'x',
  );
  return Buffer.concat([front, body, padding(body.length), main]);
}

/** What fills up the last block of so many bytes. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
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
  bytes.write(header.name, 0, 100, 'latin1');
  octal(header.mode & 0o7777, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.modified.seconds, 136, 12);
  bytes.write('        ', 148, 'latin1');
  bytes.write(flag, 156, 'latin1');
  bytes.write(header.linkname ?? '', 157, 100, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  octal(header.major ?? 0, 329, 8);
  octal(header.minor ?? 0, 337, 8);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

function fits(name: ByteString): boolean {
  // Only ASCII is the same to all readers.
  return name.length <= 100 && /^[\x01-\x7f]*$/.test(name);
}

/** For readers that know no PAX. A slash that comes to stand at the end would have them take a file for a directory. */
function cut(name: ByteString): ByteString {
  return (name.length <= 100 ? name : name.slice(0, 100).replace(/\/+$/, '')) as ByteString;
}

/** The name of an extended attribute, as GNU tar writes those that have an equals sign, or could be taken for such. */
function attributeKey(name: ByteString): string {
  return /=|%3D|%25/.test(name) ? name.replaceAll('%', '%25').replaceAll('=', '%3D') : name;
}

function decimal(seconds: number, nanos: number): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const size = total < 0n ? -total : total;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${total < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}`;
}

function record(key: string, value: Buffer | string): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
