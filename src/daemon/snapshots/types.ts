import type { containerd } from '../../api/full.js';

export type Mount = containerd.types.Mount.$Properties;
export type SnapshotInfo = containerd.services.snapshots.v1.Info.$Properties;

/** File systems in layers, of each namespace apart. Keys are the caller's. */
export interface Snapshotter {
  prepare(namespace: string, key: string, parent: string, labels: Record<string, string>, lease?: string): Promise<Mount[]>;
  view(namespace: string, key: string, parent: string, labels: Record<string, string>, lease?: string): Promise<Mount[]>;
  mounts(namespace: string, key: string): Promise<Mount[]>;
  commit(namespace: string, name: string, key: string, labels: Record<string, string>, lease?: string): Promise<void>;
  /** FailedPrecondition while others stand on it. */
  remove(namespace: string, key: string): Promise<void>;
  stat(namespace: string, key: string): SnapshotInfo;
  update(namespace: string, info: SnapshotInfo, paths: readonly string[]): Promise<SnapshotInfo>;
  list(namespace: string, filters: readonly string[]): SnapshotInfo[];
  /** Bytes and inodes. */
  usage(namespace: string, key: string): Promise<{ size: number; inodes: number }>;
}
