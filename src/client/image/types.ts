/** Images of a daemon. */
import type { Readable } from 'node:stream';
import type { RegistryOptions } from '../registry/types.js';
import type { CallOptions, Mount } from '../types/calls.js';

/** The images of a client's namespace. */
export interface Images {
  /** All, or those that containerd's filters select, such as `name~=busybox`. */
  list(filters?: readonly string[], options?: CallOptions): Promise<Image[]>;
  /**
   * By its name as given or in full (`busybox` is `docker.io/library/busybox:latest`), or by the beginning of its digest, four digits at least.
   *
   * @throws NotFoundError; InvalidArgumentError when images of several digests begin so
   */
  get(name: string, options?: CallOptions): Promise<Image>;
  /** Deletes the name; content that nothing else refers to goes with it. @throws NotFoundError */
  delete(name: string, options?: CallOptions): Promise<void>;
  /**
   * Fetches an image from its registry, and unpacks it: three blobs at a time, each from where an earlier try has ended, what the daemon has
   * left out. The name stands for it when all is there. What a pull that fails has got stays for a day, for the next try.
   *
   * @param ref as docker takes it: `busybox`, `ghcr.io/a/b:v1`, `localhost:5000/a@sha256:…`
   * @throws NotFoundError, also when it has nothing for the platform; UnauthenticatedError, PermissionDeniedError, UnavailableError for what the
   * registry says; InvalidArgumentError for a name or file that is wrong
   */
  pull(ref: string, options?: PullOptions): Promise<Image>;
  /**
   * Takes in an archive: an OCI layout, or what `docker save` writes, compressed or not. A string is a path. Names that
   * are there already are replaced. Images for this machine's platform are unpacked.
   */
  import(archive: string | Readable, options?: ImportOptions): Promise<Image[]>;
  /** Makes snapshots of its layers, unless they are there. @returns name of the topmost one */
  unpack(image: Image | string, options?: UnpackOptions): Promise<string>;
  /** What the image says about its containers, for this machine's platform. */
  config(image: Image | string, options?: OfPlatform): Promise<ImageConfig>;
  /** A new snapshot to write to, on top of the image's. @returns mounts of a root file system, for `create({ rootfsMounts })` */
  prepare(image: Image | string, key: string, options?: UnpackOptions): Promise<Mount[]>;
}

/** A name, and the manifest or index that it stands for. */
export interface Image {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Of an image for several platforms, which one is meant. */
export interface OfPlatform extends CallOptions {
  /** Such as `linux/arm64` or `linux/arm/v7`. Default: this machine's. */
  readonly platform?: string | undefined;
}

/** How an image is fetched from a registry. */
export interface PullOptions extends OfPlatform, RegistryOptions {
  /** Default true. */
  readonly unpack?: boolean | undefined;
  readonly snapshotter?: string | undefined;
  /** Told as the work goes on. */
  readonly progress?: ((progress: PullProgress) => void) | undefined;
}

/** How far a pull has come. */
export interface PullProgress {
  /**
   * What is being done: the name is looked up (at 1 when that is done, `what` is the digest then), a blob is fetched, layers are unpacked,
   * the image has its name.
   */
  readonly step: 'resolve' | 'fetch' | 'unpack' | 'done';
  /** Digest of the blob, or name of the image. Every blob is told of with 0 bytes before the first one is fetched. */
  readonly what: string;
  /** Bytes of it that are here, and in all; of `unpack`, layers. */
  readonly at: number;
  readonly total: number;
}

/** How layers become snapshots. */
export interface UnpackOptions extends OfPlatform {
  readonly snapshotter?: string | undefined;
  /** Told as the work goes on. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** How an archive is taken in. */
export interface ImportOptions extends UnpackOptions {
  /** Names the image, instead of the archive's own name; for an archive of one image. */
  readonly name?: string | undefined;
  /** Default true. */
  readonly unpack?: boolean | undefined;
}

/** How far an import has come. */
export interface Progress {
  /** What is being done: a file of the archive is read, or a layer is unpacked. */
  readonly step: 'read' | 'unpack' | 'done';
  /** Name of the file in the archive, digest of the layer, or name of the image. */
  readonly what: string;
  /** Bytes of it so far, and in all. For `unpack`: layers. */
  readonly at: number;
  readonly total: number;
}

/** The part of an image's configuration that is about its containers (OCI image specification). */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
}
