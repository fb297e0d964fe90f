/** The volumes of a namespace. */
import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { limit, throwIfAborted } from '../abort.js';
import { FailedPreconditionError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import type { CallOptions } from '../types/calls.js';
import { HeldStore, type Uses } from './held.js';
import { ANONYMOUS, type VolumeStore } from './store.js';
import type { PrunedVolumes, Volume, VolumeOptions, VolumePruneOptions, Volumes } from './types.js';
import { usesOf } from './uses.js';

export class ClientVolumes implements Volumes {
  constructor(
    private readonly services: Services,
    readonly store: VolumeStore,
  ) {}

  // eslint-disable-next-line @typescript-eslint/require-await -- looking at a disk may come to take longer
  async list(options: CallOptions = {}): Promise<Volume[]> {
    throwIfAborted(limit(options));
    return this.store.list();
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to reject
  async get(name: string, options: CallOptions = {}): Promise<Volume> {
    throwIfAborted(limit(options));
    return this.store.get(name);
  }

  async create({ name, labels = {}, ...options }: VolumeOptions & CallOptions = {}): Promise<Volume> {
    const called = name ?? newName();
    this.store.check(called);
    return this.hold(limit(options), async (held) => {
      const found = this.store.find(called);
      if (found !== undefined) return found;
      return held.make(called, name === undefined ? { ...labels, [ANONYMOUS]: '' } : labels);
    });
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    const signal = limit(options);
    this.store.get(name);
    await this.hold(signal, async (held) => {
      this.store.get(name);
      const users = (await this.users({ signal })).get(name);
      if (users !== undefined)
        throw new FailedPreconditionError(
          Code.FailedPrecondition,
          `volume ${name} is in use by container ${users.join(', ')}: failed precondition`,
        );
      await held.remove(name);
    });
  }

  async prune({ all = false, where = () => true, ...options }: VolumePruneOptions = {}): Promise<PrunedVolumes> {
    const signal = limit(options);
    if (this.store.list().length === 0) return { volumes: [], bytes: 0 };
    return this.hold(signal, async (held) => {
      const uses = await this.users({ signal });
      const going = this.store
        .list()
        .filter((volume) => (all || volume.anonymous) && !uses.has(volume.name) && where(volume));
      let bytes = 0;
      for (const { name } of going) {
        throwIfAborted(signal);
        bytes += await this.size(name);
        await held.remove(name);
      }
      return { volumes: going.map(({ name }) => name), bytes };
    });
  }

  users(options: CallOptions = {}): Promise<Uses> {
    return usesOf(this.services, this.store, options);
  }

  nameOf(path: string): string | undefined {
    return this.store.nameOf(path);
  }

  async size(name: string, options: CallOptions = {}): Promise<number> {
    const signal = limit(options);
    const seen = new Set<bigint>();
    let bytes = 0n;
    const waiting = [this.store.get(name).mountpoint];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      throwIfAborted(signal);
      for (const entry of await readdir(path, { withFileTypes: true }).catch(goneAs([]))) {
        const inside = join(path, entry.name);
        if (entry.isDirectory()) waiting.push(inside);
        const stat = await lstat(inside, { bigint: true }).catch(goneAs(undefined));
        // One file with several names counts once.
        if (stat === undefined || entry.isDirectory() || seen.has(stat.ino)) continue;
        if (stat.nlink > 1n) seen.add(stat.ino);
        bytes += stat.size;
      }
    }
    return Number(bytes);
  }

  /** Does something while nobody else changes volumes of the namespace. */
  async hold<R>(signal: AbortSignal | undefined, work: (held: HeldStore) => Promise<R>): Promise<R> {
    const held = await this.acquire(signal);
    try {
      return await work(held);
    } finally {
      await held.release();
    }
  }

  acquire(signal: AbortSignal | undefined): Promise<HeldStore> {
    return HeldStore.acquire(this.store, () => this.users({ signal }), signal);
  }
}

/** As docker's and nerdctl's are. */
export function newName(): string {
  return randomBytes(32).toString('hex');
}

/** A container may be removing files meanwhile. */
function goneAs<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return instead;
    throw error;
  };
}
