/** What a transfer works on. */
import type { containerd } from '../../api/full.js';
import type { ContentStore } from '../content/types.js';
import type { Snapshotters } from '../snapshots/types.js';

export type Image = containerd.services.images.v1.Image.$Properties;

/** The daemon's stores, as far as a transfer has to do with them. */
export interface TransferStores extends Snapshotters {
  readonly content: ContentStore;
  /** Reading one that is not there is NotFound, as is updating it; making one that is there AlreadyExists. */
  readonly images: {
    get(namespace: string, name: string): Image;
    create(namespace: string, image: Image): Promise<Image>;
    update(namespace: string, image: Image, paths: readonly string[]): Promise<Image>;
  };
  readonly leases: {
    create(namespace: string, lease: containerd.services.leases.v1.Lease.$Properties): Promise<unknown>;
    /** NotFound when it is not there. */
    delete(namespace: string, id: string): Promise<void>;
  };
}
