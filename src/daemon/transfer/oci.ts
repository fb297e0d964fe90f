/** Documents of images (OCI image specification, and Docker's schema 2), as far as the daemon reads them. */
import { createHash, randomUUID } from 'node:crypto';
import { errdefs, type containerd } from '../../api/full.js';
import type { ContentStore } from '../content/types.js';
import {
  isIndex,
  isManifest,
  ownPlatform,
  type Config,
  type Descriptor,
  type Index,
  type Manifest,
  type Platform,
} from '../../oci/image.js';
import { checkDigest } from '../db/validate.js';

export * from '../../oci/image.js';

type ApiPlatform = containerd.types.Platform.$Properties;

const MAX_DOCUMENT = 8 << 20;

/** Content of one namespace, with the documents in it. */
export class Documents {
  /** Begins the references of what is written: two transfers of the same image do not wait for each other. */
  readonly id = `transfer-${randomUUID()}`;

  constructor(
    readonly content: ContentStore,
    readonly namespace: string,
    readonly lease: string | undefined,
  ) {}

  async read<T>({ digest }: Pick<Descriptor, 'digest'>): Promise<T> {
    const blob = await this.content.open(this.namespace, digest);
    try {
      if (blob.size > MAX_DOCUMENT)
        throw errdefs.invalidArgument(
          `${digest} has ${blob.size} bytes, which is too much for a manifest or configuration`,
        );
      const text = Buffer.from(await blob.read(0, blob.size)).toString();
      try {
        return JSON.parse(text) as T;
      } catch (error) {
        throw errdefs.invalidArgument(`${digest} is no JSON: ${(error as Error).message}`, error);
      }
    } finally {
      await blob.close();
    }
  }

  async write(document: object, mediaType: string): Promise<Descriptor> {
    const data = Buffer.from(JSON.stringify(document));
    const expected = `sha256:${createHash('sha256').update(data).digest('hex')}`;
    const { digest, size } = await this.content.put(this.namespace, `${this.id}-manifest-${expected}`, data, {
      expected,
      lease: this.lease,
    });
    return { mediaType, digest, size };
  }

  has(digest: string): boolean {
    return this.content.list(this.namespace, [`digest==${digest}`]).length > 0;
  }

  /** What a document names, in its order: manifests, or the configuration and the layers. */
  async children(one: Descriptor): Promise<Descriptor[]> {
    if (isIndex(one)) return (await this.read<Partial<Index>>(one)).manifests?.map(checked) ?? [];
    if (!isManifest(one)) return [];
    const { config, layers = [] } = await this.read<Partial<Manifest>>(one);
    if (config === undefined) throw errdefs.invalidArgument(`manifest ${one.digest} has no config`);
    return [config, ...layers].map(checked);
  }

  /** What a manifest is for: as its index says, or else its configuration. */
  async platformOf(one: Descriptor): Promise<Platform> {
    if (one.platform?.architecture !== undefined) return one.platform;
    const [config] = await this.children(one);
    return config === undefined || !this.has(config.digest) ? {} : this.read<Config>(config);
  }
}

function checked(one: Descriptor): Descriptor {
  checkDigest(one.digest);
  return one;
}

export function platformFrom(given: ApiPlatform | null | undefined): Platform {
  const own = ownPlatform();
  return {
    os: given?.os || own.os!,
    architecture: given?.architecture || own.architecture!,
    ...(given?.variant ? { variant: given.variant } : {}),
  };
}
