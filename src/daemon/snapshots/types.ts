import type { containerd } from '../../api/full.js';

export type Mount = containerd.types.Mount.$Properties;
export type SnapshotInfo = containerd.services.snapshots.v1.Info.$Properties;

/** File systems in layers, of each namespace apart. Keys are the caller's. */
export interface Snapshotter {
  prepare(
    namespace: string,
    key: string,
    parent: string,
    labels: Record<string, string>,
    lease?: string,
  ): Promise<Mount[]>;
  view(
    namespace: string,
    key: string,
    parent: string,
    labels: Record<string, string>,
    lease?: string,
  ): Promise<Mount[]>;
  mounts(namespace: string, key: string): Promise<Mount[]>;
  commit(namespace: string, name: string, key: string, labels: Record<string, string>, lease?: string): Promise<void>;
  /** FailedPrecondition while others stand on it. */
  remove(namespace: string, key: string, lease?: string): Promise<void>;
  stat(namespace: string, key: string): SnapshotInfo;
  update(namespace: string, info: SnapshotInfo, paths: readonly string[]): Promise<SnapshotInfo>;
  list(namespace: string, filters: readonly string[]): SnapshotInfo[];
  /** Bytes and inodes. */
  usage(namespace: string, key: string): Promise<{ size: number; inodes: number }>;
  /** Removes layers on disk that no snapshot has: what a crash or a failed removal has left. */
  cleanup(): Promise<void>;
}

export type SnapshotKind = 'active' | 'view' | 'committed';

/** Where a snapshotter's layers lie, and how they are mounted. Layers have numbers; names and namespaces are not its concern. */
export interface SnapshotDriver {
  /** Makes an empty layer on top of others, nearest first, whole or not at all. A view is never written to. */
  create(id: string, parents: readonly string[], kind: SnapshotKind): Promise<void>;
  mounts(id: string, parents: readonly string[], kind: SnapshotKind): Mount[];
  usage(id: string, parents: readonly string[]): Promise<{ size: number; inodes: number }>;
  /**
   * Removes a layer: it is not among {@link layers} any more when this returns, and gone for good when the promise is kept. A layer
   * that is not there is fine.
   */
  remove(id: string): Promise<void>;
  /** Removes what an earlier process has not come to remove for good. */
  sweep(): Promise<void>;
  /** All that are on disk, those that a crash has left too. An id is never given to another layer. */
  layers(): string[];
}

/** All snapshotters. */
export interface Snapshotters {
  /** A snapshotter by its name, the default one for an empty name; InvalidArgument for an unknown one. */
  snapshotter(name: string): Snapshotter;
}
