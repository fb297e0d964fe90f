/** A checkpoint as content: the tar of criu's directory, as containerd keeps it. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { errdefs } from '../../api/full.js';
import { TarReader, type Piece } from '../../oci/tar-reader.js';
import { fromText, shown, toBytes, type ByteString } from '../../sys/byte-string.js';
import type { Blob } from '../content/types.js';

export const CHECKPOINT_TYPE = 'application/vnd.containerd.container.criu.checkpoint.criu.tar';
export const CONFIG_TYPE = 'application/vnd.containerd.container.checkpoint.config.v1+proto';

const CHUNK = 1024 * 1024;

/** The tar of a directory: plain files and directories, which is all that criu makes. */
export async function* tarOf(dir: string): AsyncGenerator<Uint8Array> {
  const tar = pack();
  const filling = fill(tar, dir, '').then(
    () => tar.finalize(),
    (error: unknown) => void tar.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  yield* tar as unknown as AsyncIterable<Uint8Array>;
  await filling;
}

async function fill(tar: ReturnType<typeof pack>, dir: string, prefix: string): Promise<void> {
  for (const entry of (await readdir(join(dir, prefix), { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const name = join(prefix, entry.name);
    const { mode, mtime, size } = await stat(join(dir, name));
    if (entry.isDirectory()) {
      await new Promise<void>((resolve, reject) =>
        tar.entry({ name: `${name}/`, type: 'directory', mode: mode & 0o7777, mtime }, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
      await fill(tar, dir, name);
    } else if (entry.isFile()) {
      await pipeline(
        createReadStream(join(dir, name)),
        tar.entry({ name, size, mode: mode & 0o7777, mtime }) as unknown as NodeJS.WritableStream,
      );
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
  const reader = new TarReader(bytesOf(blob));
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const { name, type, mode } = entry;
    const path = normalize(name);
    if (path.startsWith('..') || path.startsWith('/') || path.includes('\0'))
      throw errdefs.invalidArgument(`the checkpoint holds ${shown(name)}, which is not below its directory`);
    const file = toBytes(`${fromText(dir)}/${path}` as ByteString);
    if (type === 'directory') {
      await mkdir(file, { recursive: true, mode: mode | 0o700 });
    } else if (type === 'file') {
      await mkdir(toBytes(`${fromText(dir)}/${dirname(path)}` as ByteString), { recursive: true, mode: 0o700 });
      const handle = await open(file, 'wx', mode);
      try {
        for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece())
          await writeAt(handle, piece);
        // A hole at the end, if there is one.
        await handle.truncate(entry.size);
      } finally {
        await handle.close();
      }
    } else
      throw errdefs.invalidArgument(
        `the checkpoint holds ${shown(name)}, a ${type}: only files and directories belong there`,
      );
  }
}

async function writeAt(handle: FileHandle, { at, data }: Piece): Promise<void> {
  for (let done = 0; done < data.length;)
    done += (await handle.write(data, done, data.length - done, at + done)).bytesWritten;
}

async function* bytesOf(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < blob.size;) {
    const bytes = await blob.read(offset, CHUNK);
    if (bytes.length === 0) throw errdefs.unknown(`the checkpoint ends at byte ${offset} of ${blob.size}`);
    yield bytes;
    offset += bytes.length;
  }
}
