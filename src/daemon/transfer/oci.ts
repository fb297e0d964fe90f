/** Documents of images (OCI image specification, and Docker's schema 2), as far as the daemon reads them. */
import { arch } from 'node:os';
import { createHash } from 'node:crypto';
import { errdefs, type containerd } from '../../api/full.js';
import type { ContentStore } from '../content/types.js';
import { checkDigest } from '../metadata/validate.js';

type ApiPlatform = containerd.types.Platform.$Properties;

export const MediaType = {
  Index: 'application/vnd.oci.image.index.v1+json',
  Manifest: 'application/vnd.oci.image.manifest.v1+json',
  DockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  DockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  DockerConfig: 'application/vnd.docker.container.image.v1+json',
  DockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

export interface Platform {
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Record<string, string>;
}

export interface Index {
  readonly manifests: Descriptor[];
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: Descriptor[];
}

export interface Config extends Platform {
  readonly rootfs?: { readonly diff_ids?: string[] };
}

const MAX_DOCUMENT = 8 << 20;
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };

/** Content of one namespace, with the documents in it. */
export class Documents {
  constructor(readonly content: ContentStore, readonly namespace: string, readonly lease: string | undefined) {}

  async read<T>({ digest }: Pick<Descriptor, 'digest'>): Promise<T> {
    const blob = await this.content.open(this.namespace, digest);
    try {
      if (blob.size > MAX_DOCUMENT) throw errdefs.invalidArgument(`${digest} has ${blob.size} bytes, which is too much for a manifest or configuration`);
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
    const { digest, size } = await this.content.put(this.namespace, `manifest-${expected}`, data, { expected, lease: this.lease });
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

export function isIndex({ mediaType }: Descriptor): boolean {
  return mediaType === MediaType.Index || mediaType === MediaType.DockerList;
}

export function isManifest({ mediaType }: Descriptor): boolean {
  return mediaType === MediaType.Manifest || mediaType === MediaType.DockerManifest;
}

/** This machine's. */
export function ownPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch()] ?? arch() };
}

export function platformFrom(given: ApiPlatform | null | undefined): Platform {
  const own = ownPlatform();
  return { os: given?.os || own.os!, architecture: given?.architecture || own.architecture!, ...(given?.variant ? { variant: given.variant } : {}) };
}

/** Whether something for one platform is for another; what is not said fits. */
export function suits(have: Platform, want: Platform): boolean {
  const fits = (a?: string, b?: string): boolean => a === undefined || a === '' || b === undefined || b === '' || a === b;
  return fits(have.os, want.os) && fits(have.architecture, want.architecture) && fits(have.variant, want.variant);
}
