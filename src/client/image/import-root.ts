/** A root file system's archive as an image of one layer, as `docker import` makes it. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { decompressed } from '../../oci/decompress.js';
import { MediaType, UNCOMPRESSED, type Platform } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { ClientError, InvalidArgumentError } from '../errors.js';
import { composeImage, type Composed } from './compose.js';
import { labelBlob, putBlob, type Scope } from './content.js';
import { applyChanges, type Draft } from './instructions.js';
import { unpackLayers } from './unpack.js';

export interface Rooted {
  readonly platform: Platform;
  readonly message: string;
  readonly changes: readonly string[];
  readonly snapshotter: string;
}

export async function importRoot(
  scope: Scope,
  archive: AsyncIterable<Uint8Array>,
  { platform, message, changes, snapshotter }: Rooted,
): Promise<Composed['target']> {
  const config: Draft = {};
  applyChanges(config, changes);
  const hash = createHash('sha256');
  let bytes = 0;
  const plain = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of decompressed(archive)) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  const blob = await putBlob(scope, gzipped(plain()));
  if (bytes === 0) throw invalid('the archive is empty');
  const diffId = `sha256:${hash.digest('hex')}`;
  await labelBlob(scope, blob.digest, { [UNCOMPRESSED]: diffId });
  const created = new Date().toISOString();
  const { os = 'linux', architecture = '', variant } = platform;
  const { manifest, target } = await composeImage(
    scope,
    {
      created,
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      config,
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, comment: message }],
    },
    [{ mediaType: MediaType.GzipLayer, digest: blob.digest, size: blob.size }],
  );
  try {
    await unpackLayers(scope, manifest, { snapshotter });
  } catch (error) {
    if (!(error instanceof ClientError) || scope.signal?.aborted === true) throw error;
    throw invalid(`the archive is no tar archive of a root file system: ${error.message}`, error);
  }
  return target;
}

async function* gzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: false });
  const through = createGzip({ level: 1, chunkSize: 256 << 10 });
  source.on('error', (error) => through.destroy(error));
  source.pipe(through);
  try {
    for await (const chunk of through) yield chunk as Buffer;
  } finally {
    source.destroy();
  }
}

function invalid(text: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`, { cause });
}
