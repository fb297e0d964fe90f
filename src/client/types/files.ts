/** Files of containers. */
import type { CallOptions } from './calls.js';

/** A file that a container has and its image has not, or otherwise, or the other way round. */
export interface FileChange {
  /** From the container's root on. */
  readonly path: string;
  /** A directory is modified, too, when something in it is. */
  readonly kind: 'added' | 'modified' | 'deleted';
}

/** How files are copied out of a container. */
export interface CopyFromOptions extends CallOptions {
  /** Of a symbolic link, what it leads to inside of the container is copied, under the link's name. */
  readonly followLink?: boolean | undefined;
}

/** How files are copied into a container. */
export interface CopyToOptions extends CallOptions {
  /** Of a symbolic link, what it leads to is copied, under the link's name. */
  readonly followLink?: boolean | undefined;
  /** The files become those of the user that the container was made for, if that is not root. Else they keep their owners' numbers. */
  readonly ownedByUser?: boolean | undefined;
}

/** How an archive is unpacked in a container. */
export type WriteArchiveOptions = Pick<CopyToOptions, 'ownedByUser' | 'signal' | 'timeoutMs'>;

/** What was copied. */
export interface Copied {
  /** Of the archive that the files went through. */
  readonly bytes: number;
}
