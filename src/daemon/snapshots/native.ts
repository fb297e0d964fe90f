import { chmodSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree } from '../../oci/copy-tree.js';
import { removeTree } from '../../oci/remove-tree.js';
import { Trash } from '../trash.js';
import { diskUsage } from './usage.js';
import type { Mount, SnapshotDriver, SnapshotKind } from './types.js';

const PREFIX = 'new-';

/** Layers as whole copies, `snapshots/ID`: slow and large, for wherever overlayfs does not work. */
export class NativeDriver implements SnapshotDriver {
  readonly #layers: string;
  readonly #trash: Trash;

  constructor(root: string) {
    this.#layers = join(root, 'snapshots');
    mkdirSync(this.#layers, { recursive: true, mode: 0o700 });
    this.#trash = new Trash(join(root, 'trash'));
  }

  async create(id: string, parents: readonly string[], kind: SnapshotKind): Promise<void> {
    const dir = join(this.#layers, PREFIX + id);
    try {
      mkdirSync(dir, { mode: 0o755 });
      chmodSync(dir, 0o755);
      if (parents.length > 0 && kind === 'active') await copyTree(join(this.#layers, parents[0]!), dir);
      renameSync(dir, join(this.#layers, id));
    } catch (error) {
      await removeTree(dir);
      throw error;
    }
  }

  mounts(id: string, parents: readonly string[], kind: SnapshotKind): Mount[] {
    const readOnly = kind !== 'active';
    // A view of a layer is that layer.
    const source = join(this.#layers, kind === 'view' && parents.length > 0 ? parents[0]! : id);
    return [{ type: 'bind', source, options: ['rbind', readOnly ? 'ro' : 'rw'] }];
  }

  usage(id: string): Promise<{ size: number; inodes: number }> {
    return diskUsage(join(this.#layers, id));
  }

  async remove(id: string): Promise<void> {
    const removals = [id, PREFIX + id].map((name) => this.#trash.take(join(this.#layers, name)));
    for (const removal of removals) await removal();
  }

  sweep(): Promise<void> {
    return this.#trash.empty();
  }

  layers(): string[] {
    return readdirSync(this.#layers).map((name) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name));
  }
}
