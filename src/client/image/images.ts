/** The images of a daemon. */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { normalize } from '../../oci/image-name.js';
import type { Descriptor, Platform, Manifest } from '../../oci/image.js';
import { Code, TtrpcError } from '../../ttrpc/status.js';
import { abortable, limit, throwIfAborted } from '../abort.js';
import { ClientError, errorOf, InvalidArgumentError, NotFoundError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import { parseReference } from '../registry/reference.js';
import { Repository } from '../registry/repository.js';
import type { CallOptions, Mount } from '../types/calls.js';
import { importArchive } from './archive.js';
import { namelessOf } from './compose.js';
import { readJson, type Scope } from './content.js';
import { detailsOf } from './details.js';
import { historyOf } from './history.js';
import { importRoot } from './import-root.js';
import { leased } from './lease.js';
import { checkPlatform, manifestFor, nothingFor, parsePlatform } from './platform.js';
import { isTagged, pruneImages } from './prune.js';
import { pullImage } from './pull.js';
import { pushImage } from './push.js';
import { imageOf, putImage } from './put.js';
import { saveImages } from './save.js';
import { DEFAULT_SNAPSHOTTER, unpackLayers, type Unpacking } from './unpack.js';
import type {
  HistoryEntry,
  Image,
  ImageConfig,
  ImageDetails,
  Images,
  ImportOptions,
  ImportRootOptions,
  OfPlatform,
  Pruned,
  PruneImagesOptions,
  PullOptions,
  PushedImage,
  PushOptions,
  UnpackOptions,
} from './types.js';

export class ClientImages implements Images {
  constructor(private readonly services: Services) {}

  async list(filters: readonly string[] = [], options: CallOptions = {}): Promise<Image[]> {
    return (await this.services.images.List({ filters: [...filters] }, options)).images.map(imageOf);
  }

  async get(name: string, options: CallOptions = {}): Promise<Image> {
    const full = normalize(name);
    try {
      return imageOf((await this.services.images.Get({ name }, options)).image ?? {});
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    try {
      return imageOf((await this.services.images.Get({ name: full }, options)).image ?? {});
    } catch (error) {
      const found = error instanceof NotFoundError ? await this.#byDigest(name, options) : undefined;
      if (found === undefined) throw error;
      return found;
    }
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    const found = await this.get(name, options);
    await this.services.images.Delete({ name: found.name, sync: true }, options);
  }

  async import(archive: string | Readable, options: ImportOptions = {}): Promise<Image[]> {
    const { snapshotter = DEFAULT_SNAPSHOTTER, onProgress, name, unpack = true } = options;
    const want = parsePlatform(options.platform);
    const signal = limit(options);
    return await this.#fromArchive(archive, signal, async (scope, chunks) => {
      const archived = await abortable(importArchive(scope, chunks, onProgress), signal);
      if (archived.length !== 1 && name !== undefined)
        throw invalid(`the archive has ${archived.length} images, so one name does not do`);
      const images: Image[] = [];
      for (const { names, target } of archived) {
        const called = name === undefined ? names : [normalize(name)];
        if (called.length === 0) throw invalid(`image ${target.digest} of the archive has no name: give one`);
        if (unpack) await this.#unpack(scope, target, { snapshotter, onProgress, want });
        for (const one of called) {
          images.push(await putImage(scope, one, target));
          onProgress?.({ step: 'done', what: one, at: 1, total: 1 });
        }
      }
      return images;
    });
  }

  async importRoot(archive: string | Readable, options: ImportRootOptions = {}): Promise<Image> {
    const { snapshotter = DEFAULT_SNAPSHOTTER, name, message = 'imported', changes = [] } = options;
    const platform = parsePlatform(options.platform);
    const called = name === undefined ? undefined : parseReference(name).name;
    const signal = limit(options);
    return await this.#fromArchive(archive, signal, async (scope, chunks) => {
      const importing = importRoot(scope, chunks, { platform, message, changes, snapshotter });
      const target = await abortable(importing, signal);
      return putImage(scope, called ?? namelessOf(target), target);
    });
  }

  /** Whatever becomes of it, the archive is read no further. */
  async #fromArchive<T>(
    archive: string | Readable,
    signal: AbortSignal | undefined,
    work: (scope: Scope, chunks: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const source = typeof archive === 'string' ? await readFile(archive) : archive;
    try {
      return await leased(this.services, signal, (scope) => work(scope, source as AsyncIterable<Uint8Array>));
    } catch (error) {
      // The archive's own defects are told by what reads it.
      if (error instanceof TtrpcError && !(error instanceof ClientError))
        throw errorOf(error.code, error.message, error);
      throw error;
    } finally {
      source.destroy();
    }
  }

  async pull(ref: string, options: PullOptions = {}): Promise<Image> {
    const { progress, platform, unpack = true, snapshotter = DEFAULT_SNAPSHOTTER } = options;
    const want = parsePlatform(platform);
    const reference = parseReference(ref);
    const signal = limit(options);
    throwIfAborted(signal);
    const repository = await Repository.open(reference, options);
    try {
      return await leased(
        this.services,
        signal,
        async (scope) => {
          const target = await pullImage(scope, repository, {
            platform: want,
            strict: platform !== undefined,
            snapshotter: unpack ? snapshotter : undefined,
            progress,
          });
          const image = await putImage(scope, reference.name, target);
          progress?.({ step: 'done', what: image.name, at: 1, total: 1 });
          return image;
        },
        { keptFor: reference.name },
      );
    } finally {
      await repository.close();
    }
  }

  async push(name: string, options: PushOptions = {}): Promise<PushedImage> {
    const { platform, progress } = options;
    const signal = limit(options);
    throwIfAborted(signal);
    const image = await this.get(name, { signal });
    const reference = parseReference(options.to ?? image.name);
    const repository = await Repository.open(reference, options);
    try {
      const { mediaType, digest, size } = await pushImage(
        { services: this.services, signal, lease: undefined },
        repository,
        image.target,
        {
          platform: platform === undefined ? undefined : parsePlatform(platform),
          own: parsePlatform(undefined),
          progress,
        },
      );
      return { name: reference.name, target: { mediaType, digest, size } };
    } finally {
      await repository.close();
    }
  }

  async tag(image: Image | string, name: string, options: CallOptions = {}): Promise<Image> {
    const signal = limit(options);
    const { target } = await this.#image(image, signal);
    return putImage({ services: this.services, signal, lease: undefined }, parseReference(name).name, target);
  }

  async history(image: Image | string, options: OfPlatform = {}): Promise<HistoryEntry[]> {
    const { scope, manifest } = await this.#manifest(image, options);
    return historyOf(scope, manifest);
  }

  async *save(images: readonly (Image | string)[], options: OfPlatform = {}): AsyncIterableIterator<Uint8Array> {
    const want = parsePlatform(options.platform);
    const signal = limit(options);
    const found: Image[] = [];
    for (const one of images) found.push(await this.#image(one, signal));
    yield* saveImages({ services: this.services, signal }, found, want);
  }

  prune({ all = false, filter, ...options }: PruneImagesOptions = {}): Promise<Pruned> {
    const accepts = async (image: Image): Promise<boolean> =>
      (all || !isTagged(image)) && (filter === undefined || (await filter(image)));
    return pruneImages(this.services, accepts, { signal: limit(options) });
  }

  async unpack(image: Image | string, options: UnpackOptions = {}): Promise<string> {
    const { snapshotter = DEFAULT_SNAPSHOTTER, onProgress } = options;
    const want = parsePlatform(options.platform);
    const signal = limit(options);
    const { name, target } = await this.#image(image, signal);
    return leased(this.services, signal, async (scope) => {
      if (options.platform) await checkPlatform(scope, { name, target }, want);
      const top = await this.#unpack(scope, target, { snapshotter, onProgress, want });
      if (top === undefined) throw nothingFor(name, want);
      return top;
    });
  }

  async config(image: Image | string, options: OfPlatform = {}): Promise<ImageConfig> {
    const { scope, manifest } = await this.#manifest(image, options);
    return (await readJson<{ config?: ImageConfig }>(scope, manifest.config.digest)).config ?? {};
  }

  async inspect(image: Image | string, options: OfPlatform = {}): Promise<ImageDetails> {
    const found = await this.#image(image, limit(options));
    const { scope, manifest } = await this.#manifest(found, options);
    return detailsOf(scope, found, manifest);
  }

  async prepare(image: Image | string, key: string, options: UnpackOptions = {}): Promise<Mount[]> {
    const { snapshotter = DEFAULT_SNAPSHOTTER } = options;
    const parent = await this.unpack(image, options);
    return (await this.services.snapshots.Prepare({ snapshotter, key, parent }, { signal: options.signal })).mounts;
  }

  /** Of several names for one digest the first; more than one digest is none. */
  async #byDigest(text: string, options: CallOptions): Promise<Image | undefined> {
    const digits = /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(text)?.[1];
    if (digits === undefined) return undefined;
    const found = (await this.list([], options))
      .filter(({ target }) => target.digest.startsWith(`sha256:${digits}`))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    if (new Set(found.map(({ target }) => target.digest)).size > 1)
      throw invalid(
        `image ${text} may be ${found.map(({ name, target }) => `${name} (${target.digest.slice(7, 19)})`).join(' or ')}: give more of its digest`,
      );
    return found[0];
  }

  /** The manifest of an image for a platform, and what it is read with. */
  async #manifest(
    image: Image | string,
    options: OfPlatform,
  ): Promise<{ scope: Pick<Scope, 'services' | 'signal'>; manifest: Manifest }> {
    const want = parsePlatform(options.platform);
    const signal = limit(options);
    const { name, target } = await this.#image(image, signal);
    const scope = { services: this.services, signal };
    if (options.platform) await checkPlatform(scope, { name, target }, want);
    const manifest = await manifestFor(scope, target, want);
    if (manifest === undefined) throw nothingFor(name, want);
    return { scope, manifest };
  }

  #image(image: Image | string, signal: AbortSignal | undefined): Promise<Image> {
    return typeof image === 'string' ? this.get(image, { signal }) : Promise.resolve(image);
  }

  /** Undefined when there is nothing for the platform. */
  async #unpack(
    scope: Scope,
    target: Descriptor,
    { want, ...unpacking }: Unpacking & { readonly want: Platform },
  ): Promise<string | undefined> {
    const manifest = await manifestFor(scope, target, want);
    return manifest && unpackLayers(scope, manifest, unpacking);
  }
}

async function readFile(path: string): Promise<Readable> {
  try {
    return (await open(path)).createReadStream({ highWaterMark: 1 << 20 });
  } catch (error) {
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `archive ${path}: ${(error as Error).message}: invalid argument`,
      { cause: error },
    );
  }
}

function invalid(text: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`);
}
