import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Logger } from 'pino';
import { errdefs } from '../../api/full.js';
import { syncFileSystem } from '../../sys/index.js';
import { within } from '../db/validate.js';
import type { Blob, ContentStore, Ingest } from '../content/types.js';
import { isAlreadyExists } from '../failures.js';
import type { Mount } from '../snapshots/types.js';
import { archive } from '../../oci/layer-archive.js';
import { decompressed } from '../../oci/decompress.js';
import { UNCOMPRESSED } from '../../oci/image.js';
import { extract, type ExtractOptions } from '../../oci/extract.js';
import { valueOf, withEmpty, withMounts, withReadOnlyMounts } from '../../oci/temporary-mounts.js';
import type { CompareOptions, Descriptor, Differ } from './types.js';

const CHUNK = 256 << 10;
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** Compares trees by walking through both of them. */
export class WalkingDiffer implements Differ {
  constructor(
    readonly content: ContentStore,
    readonly log: Pick<Logger, 'warn'>,
  ) {}

  async apply(
    namespace: string,
    layer: Descriptor,
    mounts: readonly Mount[],
    { sync = false } = {},
  ): Promise<Descriptor> {
    const digest = layer.digest ?? '';
    const blob = await this.content.open(namespace, digest).catch((error: unknown) =>
      within('failed to get reader from content store', () => {
        throw error;
      }),
    );
    try {
      const hash = createHash('sha256');
      let size = 0;
      const counted = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of decompressed(chunksOf(blob))) {
          hash.update(chunk);
          size += chunk.length;
          yield chunk;
        }
      };
      const warn = (text: string): void => this.log.warn({ digest }, text);
      await onto(mounts, async (dir, options) => {
        await extract(counted(), dir, { ...options, warn });
        if (sync) await syncFileSystem(dir);
      });
      return { mediaType: LAYER, digest: `sha256:${hash.digest('hex')}`, size };
    } catch (error) {
      if (error instanceof Error) error.message = `failed to extract layer ${digest}: ${error.message}`;
      throw error;
    } finally {
      await blob.close();
    }
  }

  async compare(
    namespace: string,
    left: readonly Mount[],
    right: readonly Mount[],
    options: CompareOptions = {},
  ): Promise<Descriptor> {
    const { mediaType = '', labels = {}, epoch, lease } = options;
    const type = mediaType === '' ? `${LAYER}+gzip` : mediaType;
    if (type !== LAYER && type !== `${LAYER}+gzip`)
      throw errdefs.notImplemented(`unsupported diff media type: ${type}`);
    const latest = epoch ? { seconds: Number(epoch.seconds ?? 0), nanos: epoch.nanos ?? 0 } : undefined;
    const on = <R>(mounts: readonly Mount[], work: (dir: string) => Promise<R>): Promise<R> =>
      mounts.length === 0 ? withEmpty(work) : withReadOnlyMounts(mounts, work);
    return on(left, (from) =>
      on(right, async (to) => {
        const plain = createHash('sha256');
        const hashed = async function* (): AsyncGenerator<Buffer> {
          for await (const chunk of archive(from, to, latest)) {
            plain.update(chunk);
            yield chunk;
          }
        };
        const gzipped = type !== LAYER;
        const ref = options.ref || `uncompressed-${randomUUID()}`;
        const ingest = await this.content.ingest(namespace, ref, { lease });
        try {
          await ingest.truncate(0);
          for await (const chunk of gzipped ? gzip(hashed()) : hashed()) await ingest.write(chunk);
          const size = Number(ingest.status().offset ?? 0);
          const digest = ingest.digest();
          const more = gzipped ? { [UNCOMPRESSED]: `sha256:${plain.digest('hex')}` } : {};
          await this.#commit(namespace, ingest, size, digest, { ...labels, ...more });
          return { mediaType: type, digest, size };
        } finally {
          await ingest.close();
        }
      }),
    );
  }

  /** Commits; where that layer is there already, it gets the labels that it lacks. */
  async #commit(
    namespace: string,
    ingest: Ingest,
    size: number,
    digest: string,
    labels: Record<string, string>,
  ): Promise<void> {
    try {
      await ingest.commit(size, digest, labels);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await this.content.update(
        namespace,
        { digest, labels },
        Object.keys(labels).map((key) => `labels.${key}`),
      );
    }
  }
}

/** Where the mounts let a layer be written past them, it is: into an overlay's upper directory, or a bind's source. */
async function onto(
  mounts: readonly Mount[],
  work: (dir: string, options: ExtractOptions) => Promise<void>,
): Promise<void> {
  const [only] = mounts;
  if (only !== undefined && mounts.length === 1) {
    const options = only.options ?? [];
    const upper = only.type === 'overlay' ? valueOf(options, 'upperdir') : undefined;
    if (upper !== undefined)
      return work(upper, { lowers: (valueOf(options, 'lowerdir') ?? '').split(':').filter(Boolean) });
    if (only.type === 'bind' && !options.includes('ro') && only.source) return work(only.source, {});
  }
  return withMounts(mounts, (dir) => work(dir, {}));
}

async function* chunksOf(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < blob.size; at += CHUNK) yield await blob.read(at, CHUNK);
}

async function* gzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.from(chunks, { objectMode: false });
  const through = createGzip();
  source.on('error', (error) => through.destroy(error));
  source.pipe(through);
  for await (const chunk of through) yield chunk as Buffer;
}
