/** A checkpoint as content: the tar of criu's directory, as containerd keeps it. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { errdefs } from '../../api/full.js';
import type { Blob } from '../content/types.js';

export const CHECKPOINT_TYPE = 'application/vnd.containerd.container.criu.checkpoint.criu.tar';
export const CONFIG_TYPE = 'application/vnd.containerd.container.checkpoint.config.v1+proto';

const CHUNK = 1024 * 1024;

/** The tar of a directory: plain files and directories, which is all that criu makes. */
export async function* tarOf(dir: string): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const filling = fill(tar, dir, '').then(() => tar.finalize(), (error: unknown) => void tar.destroy(error instanceof Error ? error : new Error(String(error))));
  yield* tar as unknown as AsyncIterable<Uint8Array>;
  await filling;
}

async function fill(tar: ReturnType<typeof pack>, dir: string, prefix: string): Promise<void> {
  for (const entry of (await readdir(join(dir, prefix), { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = join(prefix, entry.name);
    const { mode, mtime, size } = await stat(join(dir, name));
    if (entry.isDirectory()) {
      await new Promise<void>((resolve, reject) => tar.entry({ name: `${name}/`, type: 'directory', mode: mode & 0o7777, mtime }, (error) => error ? reject(error) : resolve()));
      await fill(tar, dir, name);
    } else if (entry.isFile()) {
      await pipeline(createReadStream(join(dir, name)), tar.entry({ name, size, mode: mode & 0o7777, mtime }) as unknown as NodeJS.WritableStream);
    }
  }
}

/**
 * Unpacks a checkpoint into a directory, which is made.
 *
 * @throws InvalidArgument when it holds anything but files and directories below it
 */
export async function untar(blob: Blob, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const tar = extract();
  const reading = pipeline(Readable.from(bytesOf(blob)), tar as unknown as NodeJS.WritableStream);
  const unpacking = (async () => {
    for await (const entry of tar) {
      const { name, type, mode = 0o600 } = entry.header;
      const path = normalize(name);
      if (path.startsWith('..') || path.startsWith('/')) throw errdefs.invalidArgument(`the checkpoint holds ${JSON.stringify(name)}, which is not below its directory`);
      if (type === 'directory') {
        await mkdir(join(dir, path), { recursive: true, mode: mode | 0o700 });
        entry.resume();
      } else if (type === 'file') {
        await mkdir(dirname(join(dir, path)), { recursive: true, mode: 0o700 });
        await pipeline(entry as unknown as NodeJS.ReadableStream, createWriteStream(join(dir, path), { mode, flags: 'wx' }));
      } else throw errdefs.invalidArgument(`the checkpoint holds ${JSON.stringify(name)}, a ${type}: only files and directories belong there`);
    }
  })().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  // Both, so that none is left unheard; the reason is the one that unpacking has.
  const [read, unpacked] = await Promise.allSettled([reading, unpacking]);
  if (unpacked.status === 'rejected') throw unpacked.reason;
  if (read.status === 'rejected') throw read.reason;
}

async function* bytesOf(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < blob.size;) {
    const bytes = await blob.read(offset, CHUNK);
    if (bytes.length === 0) throw errdefs.unknown(`the checkpoint ends at byte ${offset} of ${blob.size}`);
    yield bytes;
    offset += bytes.length;
  }
}
