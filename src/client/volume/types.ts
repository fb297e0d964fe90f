/** Volumes: directories that outlive containers. */
import type { CallOptions } from '../types/calls.js';

/** The volumes of a client's namespace. They lie where nerdctl has its own, in the same form: either sees the other's. */
export interface Volumes {
  /** All of them, by name. */
  list(options?: CallOptions): Promise<Volume[]>;
  /** @throws NotFoundError */
  get(name: string, options?: CallOptions): Promise<Volume>;
  /**
   * Makes a volume; one that is there already is given as it is, with its own labels.
   *
   * @throws InvalidArgumentError for a name that containerd would not take for an id
   */
  create(options?: VolumeOptions & CallOptions): Promise<Volume>;
  /** Removes a volume with all that is in it. @throws NotFoundError; FailedPreconditionError when a container has it, which is named */
  remove(name: string, options?: CallOptions): Promise<void>;
  /** Removes those that no container has: anonymous ones, or with `all` those with a name, too. */
  prune(options?: VolumePruneOptions): Promise<PrunedVolumes>;
  /** Names of containers by the volumes that they have, whether or not they run. */
  users(options?: CallOptions): Promise<ReadonlyMap<string, readonly string[]>>;
  /** The volume that a directory of this machine is the files of, or lies in; undefined for none. */
  nameOf(path: string): string | undefined;
  /** Bytes of the files in a volume. @throws NotFoundError */
  size(name: string, options?: CallOptions): Promise<number>;
}

/** A directory with a name, which containers share and which outlives them. */
export interface Volume {
  readonly name: string;
  /** The directory that containers see. */
  readonly mountpoint: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Made for a container that named none: it goes with that one when it is removed with its volumes. */
  readonly anonymous: boolean;
  readonly createdAt: Date;
}

/** What a volume is. */
export interface VolumeOptions {
  /** Made up, of 64 hexadecimal digits, unless given; the volume is anonymous then. */
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Which volumes go. */
export interface VolumePruneOptions extends CallOptions {
  readonly all?: boolean | undefined;
  /** Only those that this is true of. */
  readonly where?: ((volume: Volume) => boolean) | undefined;
}

/** What was taken away. */
export interface PrunedVolumes {
  readonly volumes: readonly string[];
  /** In all. */
  readonly bytes: number;
}

/** A volume in a container. */
export interface VolumeMount {
  /** The volume's name; one that is not there is made. Without it an anonymous volume is made. */
  readonly name?: string | undefined;
  readonly destination: string;
  readonly readOnly?: boolean | undefined;
  /** What the image has at the destination is copied into the volume when that is empty. Default true. */
  readonly copy?: boolean | undefined;
  /** Of a volume that is made. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** Another container, whose volumes and bind mounts are wanted. */
export interface VolumesFrom {
  readonly container: string;
  /** True makes all of them read-only; else they are as that one has them. */
  readonly readOnly?: boolean | undefined;
}
