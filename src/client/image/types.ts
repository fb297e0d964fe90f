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
   * Sends an image to the registry of its name, or of another one: what the registry has is left out, or taken from another of its repositories.
   * Of an index of which not everything is here, what is for this machine goes.
   *
   * @param name of the image here
   * @returns what it is called there, and what that stands for
   * @throws NotFoundError; UnauthenticatedError, PermissionDeniedError, UnavailableError for what the registry says
   */
  push(name: string, options?: PushOptions): Promise<PushedImage>;
  /** Gives an image one more name, which may stand for another one now. */
  tag(image: Image | string, name: string, options?: CallOptions): Promise<Image>;
  /** How each layer of it was made, the newest first, for this machine's platform. */
  history(image: Image | string, options?: OfPlatform): Promise<HistoryEntry[]>;
  /**
   * Takes in an archive: an OCI layout, or what `docker save` writes, compressed or not. A string is a path. Names that
   * are there already are replaced. Images for this machine's platform are unpacked.
   */
  import(archive: string | Readable, options?: ImportOptions): Promise<Image[]>;
  /**
   * Makes an image of one layer of a root file system's tar archive, compressed or not, such as `container.export()` gives. A string is a path.
   *
   * @throws InvalidArgumentError for what is no such archive
   */
  importRoot(archive: string | Readable, options?: ImportRootOptions): Promise<Image>;
  /**
   * Images as an archive that {@link import}, `docker load` and `ctr images import` take: the bytes as they are read from the daemon. Of an image for
   * several platforms goes what it has for one.
   */
  save(images: readonly (Image | string)[], options?: OfPlatform): AsyncIterableIterator<Uint8Array>;
  /**
   * Deletes images that no container was made from and that have no tag; with `all`, those with one, too. What pulls have left that were broken
   * off or killed goes as well.
   */
  prune(options?: PruneImagesOptions): Promise<Pruned>;
  /** Makes snapshots of its layers, unless they are there. @returns name of the topmost one */
  unpack(image: Image | string, options?: UnpackOptions): Promise<string>;
  /** What the image says about its containers, for this machine's platform. */
  config(image: Image | string, options?: OfPlatform): Promise<ImageConfig>;
  /** All that the image says of itself, for this machine's platform. @throws NotFoundError */
  inspect(image: Image | string, options?: OfPlatform): Promise<ImageDetails>;
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

/** An image for one platform, as its manifest and configuration describe it (OCI image specification). */
export interface ImageDetails {
  readonly image: Image;
  readonly created: Date | undefined;
  readonly author: string;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
  readonly config: ImageConfig;
  readonly configDigest: string;
  /** Digests of the layers without compression, the lowest first. */
  readonly layers: readonly string[];
  /** Bytes of its configuration and layers as they are stored. */
  readonly size: number;
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

/** How an image is sent to a registry. */
export interface PushOptions extends OfPlatform, RegistryOptions {
  /** Where to, when it is not the image's own name: `localhost:5000/some/thing:v1`. */
  readonly to?: string | undefined;
  /** Told as the work goes on. */
  readonly progress?: ((progress: PushProgress) => void) | undefined;
}

/** What a registry has got. */
export interface PushedImage {
  readonly name: string;
  readonly target: { readonly mediaType: string; readonly digest: string; readonly size: number };
}

/** Which images are deleted of those that no container was made from. */
export interface PruneImagesOptions extends CallOptions {
  /** Those with a tag, too. */
  readonly all?: boolean | undefined;
  /** Of these, which. */
  readonly filter?: ((image: Image) => boolean | Promise<boolean>) | undefined;
}

/** How an image is made of a container. */
export interface CommitOptions extends CallOptions {
  /** What it is called. Without a name it is known by its digest alone, and `prune` takes it away. */
  readonly name?: string | undefined;
  readonly author?: string | undefined;
  /** Stands in its history. */
  readonly message?: string | undefined;
  /** Instructions of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR. */
  readonly changes?: readonly string[] | undefined;
  /** Whether the container stands still while its files are compared. Default true. */
  readonly pause?: boolean | undefined;
}

/** How a root file system becomes an image. */
export interface ImportRootOptions extends OfPlatform {
  /** What it is called. Without a name it is known by its digest alone, and `prune` takes it away. */
  readonly name?: string | undefined;
  /** Stands in its history. */
  readonly message?: string | undefined;
  /** As of {@link CommitOptions.changes}. */
  readonly changes?: readonly string[] | undefined;
  readonly snapshotter?: string | undefined;
}

/** What was taken away. */
export interface Pruned {
  /** Names of images. */
  readonly images: readonly string[];
  /** Of content, in all. */
  readonly bytes: number;
}

/** How far a push has come: bytes of a blob (its digest), or done (the image's name). */
export interface PushProgress {
  readonly step: 'push' | 'done';
  readonly what: string;
  readonly at: number;
  readonly total: number;
}

/** A step in which an image was made (OCI image specification). */
export interface HistoryEntry {
  readonly created: Date | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** Digest of the layer that it made; undefined for a step that made none. */
  readonly layer: string | undefined;
  /** Bytes of that layer as it is stored. */
  readonly size: number;
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
