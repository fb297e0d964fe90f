/** What the daemon remembers, for each namespace. Records are the API's own messages; nothing here knows of what runs. */
import type { containerd } from '../../api/full.js';
import type { ContentStore } from '../content/types.js';
import type { Labels } from '../db/mask.js';
import type { Snapshotters } from '../snapshots/types.js';

export type { Labels } from '../db/mask.js';

export type Container = containerd.services.containers.v1.Container.$Properties;
export type Image = containerd.services.images.v1.Image.$Properties;
export type Lease = containerd.services.leases.v1.Lease.$Properties;
export type Resource = containerd.services.leases.v1.Resource.$Properties;
export type Sandbox = containerd.types.Sandbox.$Properties;

/*
 * Throughout: reading a record that is not there is NotFound, making one that is AlreadyExists, what does not validate
 * InvalidArgument. A promise that is kept means that the change is on disk. Reads see every change that was acknowledged.
 * `paths` are field mask paths (`labels`, `labels.KEY`, …); none means every field that may change.
 */

export interface NamespaceStore {
  /** Empty for one that was never made: dockerd relies on it (contract §7.1). */
  labels(name: string): Labels;
  list(): string[];
  create(name: string, labels: Labels): Promise<void>;
  update(name: string, labels: Labels, paths: readonly string[]): Promise<Labels>;
  /** FailedPrecondition, naming what is in it, unless it is empty. */
  delete(name: string): Promise<void>;
}

export interface ContainerStore {
  get(namespace: string, id: string): Container;
  list(namespace: string, filters: readonly string[]): Container[];
  create(namespace: string, container: Container): Promise<Container>;
  update(namespace: string, container: Container, paths: readonly string[]): Promise<Container>;
  delete(namespace: string, id: string): Promise<void>;
}

export interface SandboxStore {
  get(namespace: string, id: string): Sandbox;
  list(namespace: string, filters: readonly string[]): Sandbox[];
  create(namespace: string, sandbox: Sandbox): Promise<Sandbox>;
  update(namespace: string, sandbox: Sandbox, paths: readonly string[]): Promise<Sandbox>;
  delete(namespace: string, id: string): Promise<void>;
}

export interface ImageStore {
  get(namespace: string, name: string): Image;
  list(namespace: string, filters: readonly string[]): Image[];
  create(namespace: string, image: Image): Promise<Image>;
  update(namespace: string, image: Image, paths: readonly string[]): Promise<Image>;
  delete(namespace: string, name: string, target?: Image['target']): Promise<void>;
}

export interface LeaseStore {
  create(namespace: string, lease: Lease): Promise<Lease>;
  delete(namespace: string, id: string): Promise<void>;
  list(namespace: string, filters: readonly string[]): Lease[];
  addResource(namespace: string, id: string, resource: Resource): Promise<void>;
  deleteResource(namespace: string, id: string, resource: Resource): Promise<void>;
  resources(namespace: string, id: string): Resource[];
}

/** The metadata plugin: all stores over one database, content and snapshots of each namespace apart. */
export interface Metadata extends Snapshotters {
  readonly namespaces: NamespaceStore;
  readonly containers: ContainerStore;
  readonly sandboxes: SandboxStore;
  readonly images: ImageStore;
  readonly leases: LeaseStore;
  readonly content: ContentStore;
  /** Removes what nothing refers to; a schedule does so too. */
  collect(): Promise<void>;
  close(): Promise<void>;
}
