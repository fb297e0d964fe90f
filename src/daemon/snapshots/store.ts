import { containerd, errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table } from '../db/database.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import type { StoreParts } from '../db/parts.js';
import { checkLabels, checkName } from '../db/validate.js';
import { settleAll } from '../settle.js';
import type { Mount, SnapshotDriver, SnapshotInfo, SnapshotKind, Snapshotter } from './types.js';

const { Kind } = containerd.services.snapshots.v1;
type Kind = containerd.services.snapshots.v1.Kind;
/** The label that names what a layer is to become. */
const TARGET = 'containerd.io/snapshot.ref';
const KINDS = new Map<number, SnapshotKind>([
  [Kind.VIEW, 'view'],
  [Kind.ACTIVE, 'active'],
  [Kind.COMMITTED, 'committed'],
]);

/**
 * The snapshots of one snapshotter: names and parents in the database, layers with its driver.
 *
 * A layer is on disk before its snapshot is recorded, and goes after the record: what a crash leaves is never a snapshot
 * without its files but at most files without a snapshot, which {@link cleanup} removes. A layer's id is given once, so one that has
 * no record and is not being made will never have one.
 */
export class Snapshots implements Snapshotter {
  readonly #table: Table<SnapshotInfo>;
  /** Layers without a record on disk yet: from before they are made until the record can be read. */
  readonly #making = new Set<string>();
  #next: number;

  constructor(
    readonly name: string,
    readonly driver: SnapshotDriver,
    readonly parts: StoreParts,
  ) {
    this.#table = new Table(parts.db, 'snapshot', containerd.services.snapshots.v1.Info);
    this.#next = Math.max(0, ...[...driver.layers(), ...this.#recorded()].map(Number).filter(Number.isInteger)) + 1;
  }

  prepare(
    namespace: string,
    key: string,
    parent: string,
    labels: Record<string, string>,
    lease?: string,
  ): Promise<Mount[]> {
    return this.#make(namespace, key, parent, labels, lease, Kind.ACTIVE);
  }

  view(
    namespace: string,
    key: string,
    parent: string,
    labels: Record<string, string>,
    lease?: string,
  ): Promise<Mount[]> {
    return this.#make(namespace, key, parent, labels, lease, Kind.VIEW);
  }

  async #make(
    namespace: string,
    key: string,
    parent: string,
    labels: Record<string, string>,
    lease: string | undefined,
    kind: Kind,
  ): Promise<Mount[]> {
    checkName('', namespace);
    if (key === '') throw errdefs.invalidArgument('a snapshot needs a key');
    checkLabels('info.Labels', labels);
    for (;;) {
      await this.#refuseExisting(namespace, key, labels[TARGET], lease);
      const parents = this.#parents(namespace, parent);
      const id = String(this.#next++);
      this.#making.add(id);
      try {
        if (!(await this.#record(id, namespace, key, { parent, labels, kind, parents, lease }))) continue;
      } finally {
        this.#making.delete(id);
      }
      if (kind === Kind.ACTIVE)
        this.parts.publish(namespace, '/snapshot/prepare', 'SnapshotPrepare', { key, parent, snapshotter: this.name });
      return this.driver.mounts(id, parents, KINDS.get(kind)!);
    }
  }

  /** Where the snapshot or what it is to become is there, the lease keeps that from here on: the client will rely on it. */
  async #refuseExisting(
    namespace: string,
    key: string,
    target: string | undefined,
    lease: string | undefined,
  ): Promise<void> {
    for (const [name, what] of [
      [target ?? '', 'target snapshot'],
      [key, 'snapshot'],
    ] as const) {
      if (name === '' || !this.#table.has(namespace, this.name, name)) continue;
      const found = await this.parts.db.write(() => this.#keepExisting(namespace, name, lease));
      if (found) throw errdefs.alreadyExists(`${what} ${JSON.stringify(name)}`);
    }
  }

  /** Inside a write: has the lease keep a snapshot, if it is there. */
  #keepExisting(namespace: string, name: string, lease: string | undefined): boolean {
    if (!this.#table.has(namespace, this.name, name)) return false;
    this.parts.leases.keep(namespace, lease, `snapshots/${this.name}`, name);
    return true;
  }

  /** Makes a layer and records it. False, with nothing left, when by then there is such a snapshot, or the parent is another one. */
  async #record(
    id: string,
    namespace: string,
    key: string,
    {
      parent,
      labels,
      kind,
      parents,
      lease,
    }: {
      parent: string;
      labels: Record<string, string>;
      kind: Kind;
      parents: readonly string[];
      lease: string | undefined;
    },
  ): Promise<boolean> {
    const { db, leases, namespaces } = this.parts;
    let recorded = false;
    try {
      await this.driver.create(id, parents, KINDS.get(kind)!);
      recorded = await db.write(() => {
        const target = labels[TARGET];
        if (this.#table.has(namespace, this.name, key) || (target && this.#table.has(namespace, this.name, target)))
          return false;
        if (this.#parents(namespace, parent).join() !== parents.join()) return false;
        leases.keep(namespace, lease, `snapshots/${this.name}`, key);
        const now = realtime();
        this.#table.put([namespace, this.name, key], {
          name: key,
          parent,
          kind,
          labels: kept(labels),
          createdAt: now,
          updatedAt: now,
        });
        db.put(['layer', namespace, this.name, key], Buffer.from(id));
        namespaces.ensure(namespace);
        return true;
      });
      return recorded;
    } catch (error) {
      // That the parent has gone meanwhile is what is to be told, not what this did to the files.
      this.#parents(namespace, parent);
      throw error;
    } finally {
      if (!recorded) await this.driver.remove(id);
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a driver from elsewhere may take its time
  async mounts(namespace: string, key: string): Promise<Mount[]> {
    const { kind, parent } = this.stat(namespace, key);
    if (kind === Kind.COMMITTED)
      throw errdefs.failedPrecondition(`failed to get active mount: requested snapshot ${key} not active or view`);
    return this.driver.mounts(
      this.#layer(namespace, key),
      this.#parents(namespace, parent ?? ''),
      KINDS.get(kind ?? 0)!,
    );
  }

  async commit(
    namespace: string,
    name: string,
    key: string,
    labels: Record<string, string>,
    lease?: string,
  ): Promise<void> {
    if (name === '') throw errdefs.invalidArgument('a snapshot needs a name to be committed under');
    checkLabels('info.Labels', labels);
    const { db, leases, publish } = this.parts;
    const committed = await db.write(() => {
      if (this.#keepExisting(namespace, name, lease)) return false;
      const old = this.stat(namespace, key);
      if (old.kind !== Kind.ACTIVE) throw errdefs.failedPrecondition(`snapshot ${key} is not active`);
      leases.keep(namespace, lease, `snapshots/${this.name}`, name);
      leases.release(namespace, lease, `snapshots/${this.name}`, key);
      const now = realtime();
      const id = this.#layer(namespace, key);
      this.#forget(namespace, key);
      this.#table.put([namespace, this.name, name], {
        name,
        parent: old.parent ?? '',
        kind: Kind.COMMITTED,
        labels: kept(labels),
        createdAt: now,
        updatedAt: now,
      });
      db.put(['layer', namespace, this.name, name], Buffer.from(id));
      return true;
    });
    if (!committed) throw errdefs.alreadyExists(`snapshot ${JSON.stringify(name)}`);
    publish(namespace, '/snapshot/commit', 'SnapshotCommit', { key, name, snapshotter: this.name });
  }

  async remove(namespace: string, key: string, lease?: string): Promise<void> {
    const id = await this.parts.db.write(() => {
      this.stat(namespace, key);
      if (this.#table.list(namespace, this.name).some(({ parent }) => parent === key))
        throw errdefs.failedPrecondition('cannot remove snapshot with child');
      const layer = this.#layer(namespace, key);
      this.#forget(namespace, key);
      this.parts.leases.release(namespace, lease, `snapshots/${this.name}`, key);
      return layer;
    });
    this.parts.changed();
    this.parts.publish(namespace, '/snapshot/remove', 'SnapshotRemove', { key, snapshotter: this.name });
    await this.driver.remove(id);
  }

  stat(namespace: string, key: string): SnapshotInfo {
    const found = this.#table.get(namespace, this.name, key);
    if (found === undefined) throw errdefs.notFound(`snapshot ${key} does not exist`);
    return found;
  }

  update(namespace: string, info: SnapshotInfo, paths: readonly string[]): Promise<SnapshotInfo> {
    const key = info.name ?? '';
    return this.parts.db.write(() => {
      const result = { ...this.stat(namespace, key) };
      applyMask(paths.length === 0 ? ['labels'] : paths, `snapshot ${JSON.stringify(key)}`, {
        labels: (label) => (result.labels = replaceEntries(result.labels, info.labels, label)),
      });
      checkLabels('info.Labels', result.labels);
      result.labels = kept(result.labels);
      result.updatedAt = realtime();
      this.#table.put([namespace, this.name, key], result);
      return result;
    });
  }

  list(namespace: string, filters: readonly string[]): SnapshotInfo[] {
    const matches = compileFilters(filters);
    return this.#table.list(namespace, this.name).filter((info) => matches(adapt(info)));
  }

  async usage(namespace: string, key: string): Promise<{ size: number; inodes: number }> {
    const { parent } = this.stat(namespace, key);
    const id = this.#layer(namespace, key);
    try {
      return await this.driver.usage(id, this.#parents(namespace, parent ?? ''));
    } catch (error) {
      // It takes its time, and the snapshot may have been removed meanwhile.
      this.stat(namespace, key);
      throw error;
    }
  }

  async cleanup(): Promise<void> {
    // From what is on disk to what is out of sight there is no await: nothing can be made or recorded in between. What is recorded
    // is read as it was committed, so a layer whose record a crash would bring back is not touched.
    const recorded = this.#recorded();
    const doomed = this.driver.layers().filter((id) => !recorded.has(id) && !this.#making.has(id));
    await settleAll([...doomed.map((id) => this.driver.remove(id)), this.driver.sweep()]);
  }

  /** Layers below a snapshot whose parent this is, nearest first. */
  #parents(namespace: string, parent: string): string[] {
    const ids: string[] = [];
    for (let key = parent; key !== '';) {
      const info = this.#table.get(namespace, this.name, key);
      if (info === undefined) throw errdefs.notFound(`parent snapshot ${key} does not exist`);
      if (info.kind !== Kind.COMMITTED)
        throw errdefs.invalidArgument(`parent ${JSON.stringify(key)} is not committed snapshot`);
      ids.push(this.#layer(namespace, key));
      key = info.parent ?? '';
    }
    return ids;
  }

  #layer(namespace: string, key: string): string {
    const id = this.parts.db.get(['layer', namespace, this.name, key])?.toString();
    if (id === undefined) throw errdefs.notFound(`snapshot ${key} does not exist`);
    return id;
  }

  #forget(namespace: string, key: string): void {
    this.#table.remove(namespace, this.name, key);
    this.parts.db.remove(['layer', namespace, this.name, key]);
  }

  #recorded(): Set<string> {
    return new Set(
      this.parts.db
        .range(['layer'])
        .filter(({ key }) => key[2] === this.name)
        .map(({ value }) => value.toString()),
    );
  }
}

function adapt(info: SnapshotInfo): Adapter {
  return ([name = '', ...rest]) => {
    switch (name) {
      case 'kind':
        return KINDS.get(info.kind ?? 0);
      case 'name':
        return field(info.name);
      case 'parent':
        return field(info.parent);
      case 'labels':
        return entry(info.labels, rest);
      default:
        return undefined;
    }
  };
}
