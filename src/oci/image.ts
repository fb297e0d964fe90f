/** Documents of images (OCI image specification, and Docker's schema 2), as far as they are read here. */
import { arch } from 'node:os';

export const MediaType = {
  Index: 'application/vnd.oci.image.index.v1+json',
  Manifest: 'application/vnd.oci.image.manifest.v1+json',
  GzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  DockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  DockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  DockerConfig: 'application/vnd.docker.container.image.v1+json',
  DockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

/** containerd's label of a layer's blob: the digest of what it is unpacked. */
export const UNCOMPRESSED = 'containerd.io/uncompressed';

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

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };

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

/** Whether something for one platform is for another; what is not said fits. */
export function suits(have: Platform, want: Platform): boolean {
  const fits = (a?: string, b?: string): boolean =>
    a === undefined || a === '' || b === undefined || b === '' || a === b;
  return fits(have.os, want.os) && fits(have.architecture, want.architecture) && fits(have.variant, want.variant);
}
