/** Streams of layers as they were before they were compressed. What they are compressed with is told by their first bytes. */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import * as errdefs from '../api/errdefs.js';

/** Small enough that the event loop comes round in between. */
const CHUNK = 256 << 10;

/** As of Node 22.15, else undefined. */
async function nodesUnzstd(): Promise<NodeJS.ReadWriteStream | undefined> {
  const zlib = (await import('node:zlib')) as {
    createZstdDecompress?: (options: { chunkSize: number }) => NodeJS.ReadWriteStream;
  };
  return zlib.createZstdDecompress?.({ chunkSize: CHUNK });
}

export async function* decompressed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < 4) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(first);
  const whole = rejoined(head, iterator);
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b)
    yield* piped(whole, createGunzip({ chunkSize: CHUNK }), 'gzip');
  else if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) {
    const through = await nodesUnzstd();
    yield* through === undefined ? unzstd(whole) : piped(whole, through, 'zstd');
  } else yield* whole;
}

async function* rejoined(head: Buffer, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    yield next.value;
  }
}

async function* piped(
  chunks: AsyncIterable<Uint8Array>,
  through: NodeJS.ReadWriteStream,
  what: string,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: false });
  source.on('error', (error) => (through as unknown as Readable).destroy(error));
  source.pipe(through);
  try {
    for await (const chunk of through) yield chunk as Buffer;
  } catch (error) {
    throw errdefs.invalidArgument(`the ${what} stream cannot be read: ${(error as Error).message}`, error);
  } finally {
    source.destroy();
  }
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const stream = new Decompress((piece) => {
    if (piece.length > 0) ready.push(piece);
  });
  for await (const chunk of chunks) {
    try {
      stream.push(chunk);
    } catch (error) {
      throw errdefs.invalidArgument(`the zstd stream cannot be read: ${(error as Error).message}`, error);
    }
    yield* ready;
    ready = [];
    // It is all computed here: others get their turn.
    await new Promise(setImmediate);
  }
  try {
    stream.push(new Uint8Array(0), true);
  } catch (error) {
    throw errdefs.invalidArgument(`the zstd stream cannot be read: ${(error as Error).message}`, error);
  }
  yield* ready;
}
