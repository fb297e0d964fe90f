import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { mount, unmount } from '../../sys/index.js';
import { Trash } from '../trash.js';
import { diskUsage } from './usage.js';
import type { Mount, SnapshotDriver, SnapshotKind } from './types.js';

const MNT_DETACH = 2;
const PREFIX = 'new-';

/**
 * Layers for overlayfs, laid out as containerd's: `snapshots/ID/fs` is a layer, `snapshots/ID/work` what the kernel needs beside
 * one that is written to.
 */
export class OverlayDriver implements SnapshotDriver {
  readonly #layers: string;
  readonly #trash: Trash;
  readonly #common: readonly string[];

  private constructor(readonly root: string) {
    this.#layers = join(root, 'snapshots');
    mkdirSync(this.#layers, { recursive: true, mode: 0o700 });
    this.#trash = new Trash(join(root, 'trash'));
    // The kernel would otherwise hold an upper directory to the lower ones it was first mounted with.
    this.#common = existsSync('/sys/module/overlay/parameters/index') ? ['index=off'] : [];
  }

  /** Throws when the kernel cannot mount an overlay in this directory. */
  static async open(root: string): Promise<OverlayDriver> {
    const driver = new OverlayDriver(root);
    await checkSupport(root);
    return driver;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a few quick calls; the interface allows for slow ones
  async create(id: string, parents: readonly string[], kind: SnapshotKind): Promise<void> {
    const dir = join(this.#layers, PREFIX + id);
    const fs = join(dir, 'fs');
    mkdirSync(dir, { mode: 0o700 });
    try {
      mkdirSync(fs, { mode: 0o755 });
      chmodSync(fs, 0o755);
      if (kind === 'active') mkdirSync(join(dir, 'work'), { mode: 0o711 });
      if (parents.length > 0) {
        // The topmost layer's root is the root that the container sees.
        const { uid, gid, mode } = statSync(this.#fs(parents[0]!));
        chownSync(fs, uid, gid);
        chmodSync(fs, mode & 0o7777);
      }
      renameSync(dir, join(this.#layers, id));
    } catch (error) {
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  mounts(id: string, parents: readonly string[], kind: SnapshotKind): Mount[] {
    const lower = parents.map((parent) => this.#fs(parent));
    const bind = (source: string, how: string): Mount[] => [{ type: 'bind', source, options: [how, 'rbind'] }];
    if (lower.length === 0) return bind(this.#fs(id), kind === 'active' ? 'rw' : 'ro');
    const upper = kind === 'active' ? [`workdir=${join(this.#layers, id, 'work')}`, `upperdir=${this.#fs(id)}`] : [];
    if (kind !== 'active' && lower.length === 1) return bind(lower[0]!, 'ro');
    return [
      { type: 'overlay', source: 'overlay', options: [...this.#common, ...upper, `lowerdir=${lower.join(':')}`] },
    ];
  }

  usage(id: string): Promise<{ size: number; inodes: number }> {
    return diskUsage(this.#fs(id));
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

  #fs(id: string): string {
    return join(this.#layers, id, 'fs');
  }
}

/** Mounts an overlay of two empty layers, as only that tells. */
async function checkSupport(root: string): Promise<void> {
  const dir = mkdtempSync(join(root, 'check-'));
  try {
    for (const name of ['lower1', 'lower2', 'upper', 'work', 'merged']) mkdirSync(join(dir, name));
    const data = `lowerdir=${dir}/lower2:${dir}/lower1,upperdir=${dir}/upper,workdir=${dir}/work`;
    await mount('overlay', join(dir, 'merged'), 'overlay', 0, data);
    await unmount(join(dir, 'merged'), MNT_DETACH);
  } catch (error) {
    throw new Error(
      `overlayfs does not work in ${root}: ${(error as Error).message}; use the native snapshotter, or a root on another file system`,
      { cause: error },
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
