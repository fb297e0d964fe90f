/** The images of a daemon. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { millis, type containerd } from '../../api/full.js';
import { normalize } from '../../oci/image-name.js';
import {
  isIndex,
  isManifest,
  ownPlatform,
  suits,
  type Config,
  type Descriptor,
  type Index,
  type Manifest,
} from '../../oci/image.js';
import { Code, TtrpcError } from '../../ttrpc/status.js';
import { abortable, limit, quietly } from '../abort.js';
import { AlreadyExistsError, ClientError, errorOf, InvalidArgumentError, NotFoundError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import type { CallOptions, Mount } from '../types/calls.js';
import { importArchive } from './archive.js';
import { readJson, type Scope } from './content.js';
import { DEFAULT_SNAPSHOTTER, unpackLayers } from './unpack.js';
import type { Image, ImageConfig, Images, ImportOptions, UnpackOptions } from './types.js';

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
    const signal = limit(options);
    const source = typeof archive === 'string' ? await readFile(archive) : archive;
    try {
      return await this.#leased(signal, async (scope) => {
        const archived = await abortable(importArchive(scope, source as AsyncIterable<Uint8Array>, onProgress), signal);
        if (archived.length !== 1 && name !== undefined)
          throw invalid(`the archive has ${archived.length} images, so one name does not do`);
        const images: Image[] = [];
        for (const { names, target } of archived) {
          const called = name === undefined ? names : [normalize(name)];
          if (called.length === 0) throw invalid(`image ${target.digest} of the archive has no name: give one`);
          if (unpack) await this.#unpack(scope, target, snapshotter, onProgress);
          for (const one of called) {
            images.push(await this.#put(scope, one, target));
            onProgress?.({ step: 'done', what: one, at: 1, total: 1 });
          }
        }
        return images;
      });
    } catch (error) {
      // The archive's own defects are told by what reads it.
      if (error instanceof TtrpcError && !(error instanceof ClientError))
        throw errorOf(error.code, error.message, error);
      throw error;
    } finally {
      source.destroy();
    }
  }

  async unpack(image: Image | string, options: UnpackOptions = {}): Promise<string> {
    const { snapshotter = DEFAULT_SNAPSHOTTER, onProgress } = options;
    const signal = limit(options);
    const { target } = await this.#image(image, signal);
    return this.#leased(signal, async (scope) => {
      const top = await this.#unpack(scope, target, snapshotter, onProgress);
      if (top === undefined)
        throw new NotFoundError(
          Code.NotFound,
          `image ${typeof image === 'string' ? image : image.name} has nothing for ${platformName()}: not found`,
        );
      return top;
    });
  }

  async config(image: Image | string, options: CallOptions = {}): Promise<ImageConfig> {
    const signal = limit(options);
    const { name, target } = await this.#image(image, signal);
    const scope = { services: this.services, signal };
    const manifest = await manifestFor(scope, target);
    if (manifest === undefined)
      throw new NotFoundError(Code.NotFound, `image ${name} has nothing for ${platformName()}: not found`);
    return (await readJson<{ config?: ImageConfig }>(scope, manifest.config.digest)).config ?? {};
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

  #image(image: Image | string, signal: AbortSignal | undefined): Promise<Image> {
    return typeof image === 'string' ? this.get(image, { signal }) : Promise.resolve(image);
  }

  /** Undefined when there is nothing for this machine. */
  async #unpack(
    scope: Scope,
    target: Descriptor,
    snapshotter: string,
    onProgress: UnpackOptions['onProgress'],
  ): Promise<string | undefined> {
    const manifest = await manifestFor(scope, target);
    return manifest && unpackLayers(scope, manifest.config, manifest.layers, snapshotter, onProgress);
  }

  async #put(
    { services, signal, lease }: Scope,
    name: string,
    { mediaType, digest, size }: Descriptor,
  ): Promise<Image> {
    const image = { name, target: { mediaType, digest, size } };
    try {
      return imageOf((await services.images.Create({ image }, { signal, lease })).image ?? image);
    } catch (error) {
      if (!(error instanceof AlreadyExistsError)) throw error;
    }
    return imageOf(
      (await services.images.Update({ image, updateMask: { paths: ['target'] } }, { signal, lease })).image ?? image,
    );
  }

  /** What is made meanwhile stays until it belongs to something. */
  async #leased<T>(signal: AbortSignal | undefined, work: (scope: Scope) => Promise<T>): Promise<T> {
    const id = `hawser-${randomBytes(8).toString('hex')}`;
    const expire = new Date(Date.now() + 24 * 3_600_000).toISOString();
    await this.services.leases.Create({ id, labels: { 'containerd.io/gc.expire': expire } }, { signal });
    let failed = true;
    try {
      const result = await work({ services: this.services, signal, lease: id });
      failed = false;
      return result;
    } finally {
      // After a failure what was made is collected at once.
      await quietly(this.services.leases.Delete({ id, sync: failed }));
    }
  }
}

async function manifestFor(
  scope: Pick<Scope, 'services' | 'signal'>,
  target: Descriptor,
): Promise<Manifest | undefined> {
  if (isManifest(target)) return readJson<Manifest>(scope, target.digest);
  if (!isIndex(target)) throw invalid(`${target.digest} is no image: its type is ${target.mediaType}`);
  const want = ownPlatform();
  for (const one of (await readJson<Index>(scope, target.digest)).manifests) {
    if (!isManifest(one) || (one.platform !== undefined && !suits(one.platform, want))) continue;
    const manifest = await readJson<Manifest>(scope, one.digest);
    if (one.platform !== undefined || suits(await readJson<Config>(scope, manifest.config.digest), want))
      return manifest;
  }
  return undefined;
}

function platformName(): string {
  const { os, architecture } = ownPlatform();
  return `${os}/${architecture}`;
}

function imageOf({
  name,
  labels,
  target,
  createdAt,
  updatedAt,
}: containerd.services.images.v1.Image.$Properties): Image {
  return {
    name: name ?? '',
    labels: { ...labels },
    target: { mediaType: target?.mediaType ?? '', digest: target?.digest ?? '', size: Number(target?.size ?? 0) },
    createdAt: new Date(millis(createdAt) ?? 0),
    updatedAt: new Date(millis(updatedAt) ?? 0),
  };
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
