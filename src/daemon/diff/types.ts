import type { containerd, google } from '../../api/full.js';
import type { Mount } from '../snapshots/types.js';

export type Descriptor = containerd.types.Descriptor.$Properties;

export interface CompareOptions {
  readonly mediaType?: string;
  readonly ref?: string;
  readonly labels?: Record<string, string>;
  readonly epoch?: google.protobuf.Timestamp.$Properties | null;
  readonly lease?: string | undefined;
}

/** Layers onto mounts, and mounts into layers. */
export interface Differ {
  /** Unpacks a layer. Gives what it is without compression. */
  apply(
    namespace: string,
    layer: Descriptor,
    mounts: readonly Mount[],
    options?: { sync?: boolean },
  ): Promise<Descriptor>;
  /** Makes a layer of what the right side has otherwise than the left, and stores it as content. */
  compare(
    namespace: string,
    left: readonly Mount[],
    right: readonly Mount[],
    options?: CompareOptions,
  ): Promise<Descriptor>;
}
