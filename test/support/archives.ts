/** Archives for tests: headers that no sane program writes, and what is in them as the reader gives it. */
import { TarReader, type Entry } from '../../src/oci/tar-reader.js';

export const BLOCK = 512;

export interface RawHeader {
  name?: Buffer | string;
  link?: Buffer | string;
  type?: string;
  /** As a number, or as the bytes of the field. */
  size?: number | Buffer;
  magic?: string;
  /** Other fields, by their offsets. */
  fields?: Record<number, Buffer | string>;
}

/** One header, with a right check sum. */
export function rawHeader({
  name = 'f',
  link = '',
  type = '0',
  size = 0,
  magic = 'ustar\x0000',
  fields = {},
}: RawHeader = {}): Buffer {
  const block = Buffer.alloc(BLOCK);
  const put = (at: number, value: Buffer | string): void => void Buffer.from(value).copy(block, at);
  put(0, name);
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, typeof size === 'number' ? `${size.toString(8).padStart(11, '0')}\0` : size);
  put(136, '00000000005\0');
  put(156, type);
  put(157, link);
  put(257, magic);
  for (const [at, value] of Object.entries(fields)) put(Number(at), value);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** Data with what fills its last block. */
export function blocks(data: Buffer | string): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** A record, or bytes that are to stand among records as they are. */
export type PaxRecord = readonly [key: string, value: Buffer | string] | Buffer;

/** The extended header with these records. */
export function paxHeader(records: readonly PaxRecord[], type = 'x'): Buffer {
  const body = Buffer.concat(
    records.map((record) => {
      if (Buffer.isBuffer(record)) return record;
      const rest = Buffer.concat([Buffer.from(` ${record[0]}=`), Buffer.from(record[1]), Buffer.from('\n')]);
      let length = rest.length;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
  return Buffer.concat([rawHeader({ name: 'PaxHeaders/f', type, size: body.length }), blocks(body)]);
}

/** Bytes in pieces of a size that fits nothing. */
export async function* pieces(data: Buffer, size = 97): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield await Promise.resolve(data.subarray(at, at + size));
}

/** All entries, their contents as `data`. */
export async function readAll(data: Buffer, size?: number): Promise<(Entry & { data: Buffer })[]> {
  const reader = new TarReader(pieces(data, size));
  const entries = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const body = [];
    for (let piece = await reader.body(); piece !== undefined; piece = await reader.body())
      body.push(Buffer.from(piece));
    entries.push({ ...entry, data: Buffer.concat(body) });
  }
  await reader.drain();
  return entries;
}
