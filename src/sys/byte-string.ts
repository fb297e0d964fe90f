/**
 * Bytes that need not be text, as names of files, targets of links and names of extended attributes are on Linux and in archives:
 * a string in which each character stands for one byte (ISO 8859-1). Unlike a Buffer it can be compared and sorted, in the order of
 * its bytes, be the key of a Map, and be searched and cut.
 */
import { isUtf8 } from 'node:buffer';

declare const bytes: unique symbol;

/** Nothing but bytes: neither text that was read as UTF-8, nor a path for Node's fs, which would write it as UTF-8. */
export type ByteString = string & { readonly [bytes]: true };

export const EMPTY = '' as ByteString;

/** Bytes as they are. */
export function fromBytes(data: Uint8Array): ByteString {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1') as ByteString;
}

/** Text, such as a name in a JSON document, as the bytes of its UTF-8. */
export function fromText(text: string): ByteString {
  return Buffer.from(text).toString('latin1') as ByteString;
}

export function toBytes(data: ByteString): Buffer {
  return Buffer.from(data, 'latin1');
}

/** Of a name that is longer, the middle is left out. */
const MAX_SHOWN = 400;

/** For messages, in quotes: as text where the bytes are UTF-8, otherwise with `\xe4` for each byte that is not ASCII. Two that differ are shown so that they differ, unless they are long. */
export function shown(data: ByteString): string {
  if (data.length > MAX_SHOWN)
    return `${shown(data.slice(0, MAX_SHOWN / 2) as ByteString)}…${shown(data.slice(-MAX_SHOWN / 2) as ByteString)}`;
  const raw = toBytes(data);
  if (isUtf8(raw)) return JSON.stringify(raw.toString());
  return JSON.stringify(data).replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** The part of a path before its last slash; none where it has no slash. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString;
}

/** The part of a path behind its last slash. */
export function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

/** The path of a name in a directory; the empty path is the root's. */
export function inside(directory: ByteString, name: ByteString): ByteString {
  return (directory === '' ? name : `${directory}/${name}`) as ByteString;
}
