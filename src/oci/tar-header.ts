/** The fields of tar headers and the records of PAX (pax(1), tar(5)). What cannot be read is refused: an archive that is taken for another loses data. */
import * as errdefs from '../api/errdefs.js';
import { fromBytes, shown, type ByteString } from '../sys/byte-string.js';

export const BLOCK = 512;

/** A moment: nanoseconds are never negative. */
export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

export type Dialect = 'ustar' | 'gnu' | 'v7';

export interface Pax {
  readonly records: ReadonlyMap<ByteString, Buffer>;
  /** Offsets and lengths by turns, from the records of GNU's first sparse format, which come many times. */
  readonly pairs: readonly number[];
}

export const NO_PAX: Pax = { records: new Map(), pairs: [] };

/** Records whose values are names: what is behind a NUL would be lost to the kernel. */
const NAMES = new Set(['path', 'linkpath', 'GNU.sparse.name']);
const PAIR = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];

export function damaged(what: string): Error {
  return errdefs.invalidArgument(`the tar archive ${what}`);
}

/** The magic tells ustar, which has a name's prefix behind the other fields, from GNU's format, which has other things there. */
export function dialectOf(header: Buffer): Dialect {
  const magic = header.toString('latin1', 257, 265);
  return magic.startsWith('ustar\0') ? 'ustar' : magic === 'ustar  \0' ? 'gnu' : 'v7';
}

/** The sum of all bytes, with blanks in place of the sum; old programs took bytes for signed numbers. */
export function checkSum(header: Buffer): void {
  let [unsigned, signed] = [0, 0];
  for (let n = 0; n < BLOCK; n++) {
    const byte = n >= 148 && n < 156 ? 32 : header[n]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const sum = numberAt(header, 148, 8);
  if (sum !== unsigned && sum !== signed)
    throw errdefs.invalidArgument("this is no tar archive, or it is damaged: a header's check sum is wrong");
}

/** Bytes up to a NUL. */
export function readText(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return fromBytes(end === -1 ? bytes : bytes.subarray(0, end));
}

/** Octal digits, or, where the first bit is set, a big-endian number in two's complement. */
export function readNumber(header: Buffer, at: number, length: number, what: string): number {
  const value = numberAt(header, at, length);
  if (!Number.isSafeInteger(value))
    throw damaged(
      `has a header whose ${what} cannot be read: it is damaged, or made by a program with a format of its own`,
    );
  return value;
}

function numberAt(header: Buffer, at: number, length: number): number {
  if ((header[at]! & 0x80) === 0) {
    const digits = header
      .toString('latin1', at, at + length)
      .replace(/^[ \0]+/, '')
      .replace(/\0[^]*$/, '')
      .trimEnd();
    return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : NaN;
  }
  let value = BigInt(header[at]! & 0x7f);
  if ((header[at]! & 0x40) !== 0) value -= 128n;
  for (let n = at + 1; n < at + length; n++) value = value * 256n + BigInt(header[n]!);
  return Number(value);
}

/** A number in decimal digits. */
export function readDecimal(value: Buffer | string, what: string): number {
  const text = value.toString('latin1');
  const found = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(found))
    throw damaged(`has ${JSON.stringify(text.slice(0, 40))} as ${what}, which is no number that can be used`);
  return found;
}

/** Seconds with a fraction, as PAX has them; what is finer than nanoseconds is cut off. */
export function readTime(value: Buffer, what: string): Moment {
  const [, sign, whole, fraction = ''] = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(value.toString('latin1')) ?? [];
  if (whole === undefined || !Number.isSafeInteger(Number(whole)))
    throw damaged(`has ${JSON.stringify(value.toString('latin1').slice(0, 40))} as ${what}, which is no time`);
  const nanos = Number(fraction.padEnd(9, '0').slice(0, 9));
  if (sign !== '-') return { seconds: Number(whole), nanos };
  return nanos === 0 ? { seconds: 0 - Number(whole), nanos } : { seconds: -Number(whole) - 1, nanos: 1e9 - nanos };
}

/** Records of the form `LENGTH KEY=VALUE\n`, where the length counts all of it. */
export function readPax(bytes: Buffer): Pax {
  const records = new Map<ByteString, Buffer>();
  const pairs: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 ? '' : bytes.toString('latin1', at, Math.min(space, at + 20));
    const end = /^\d+$/.test(digits) ? at + Number(digits) : NaN;
    // Behind the blank there are a key, an equals sign and a newline at the least.
    if (!(end >= space + 4) || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw damaged('has a PAX record whose length is wrong');
    const record = bytes.subarray(space + 1, end - 1);
    const equals = record.indexOf(0x3d);
    if (equals < 1) throw damaged('has a PAX record without a key');
    const key = fromBytes(record.subarray(0, equals));
    const value = record.subarray(equals + 1);
    if (key.includes('\0') || (NAMES.has(key) && value.includes(0)))
      throw damaged(`has a NUL in its PAX record ${shown(key)}`);
    const turn = PAIR.indexOf(key);
    if (turn === -1) records.set(key, Buffer.from(value));
    else if (turn === pairs.length % 2) pairs.push(readDecimal(value, key));
    else throw damaged(`has its records ${PAIR.join(' and ')} out of order`);
    at = end;
  }
  return { records, pairs };
}
