import { containerd, errdefs } from '../../api/full.js';
import { Table, type Database } from '../db/database.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import type { NamespaceRecords } from '../db/parts.js';
import type { Publish } from '../events/publisher.js';
import type { Labels, NamespaceStore } from './types.js';
import { checkLabels, checkName } from '../db/validate.js';

/** Tables whose first word is a namespace. What a namespace cannot be deleted with, and what goes with it. */
const CONTENTS: readonly [table: string, what: string][] = [
  ['image', 'images'],
  ['blob', 'blobs'],
  ['container', 'containers'],
  ['sandbox', 'sandboxes'],
];
const BELONGINGS = ['lease', 'leased', 'ingest'];

/** Namespaces: one is there when it was made, or when something was made in it. */
export class Namespaces implements NamespaceStore, NamespaceRecords {
  readonly #table: Table<containerd.services.namespaces.v1.Namespace.$Properties>;

  constructor(
    readonly db: Database,
    readonly publish: Publish,
  ) {
    this.#table = new Table(db, 'namespace', containerd.services.namespaces.v1.Namespace);
  }

  ensure(name: string): void {
    if (!this.#table.has(name)) this.#table.put([name], { name });
  }

  labels(name: string): Labels {
    return { ...this.#table.get(name)?.labels };
  }

  list(): string[] {
    return this.#table.list().map(({ name }) => name ?? '');
  }

  async create(name: string, labels: Labels): Promise<void> {
    checkName('', name);
    checkLabels('namespace.Labels', labels);
    await this.db.write(() => {
      if (this.#table.has(name)) throw errdefs.alreadyExists(`namespace ${JSON.stringify(name)}`);
      this.#table.put([name], { name, labels: kept(labels) });
    });
    this.publish(name, '/namespaces/create', 'NamespaceCreate', { name, labels });
  }

  async update(name: string, labels: Labels, paths: readonly string[]): Promise<Labels> {
    checkName('', name);
    const updated = await this.db.write(() => {
      let result = this.labels(name);
      const set = (key: string | undefined): void => {
        result = replaceEntries(result, labels, key);
      };
      applyMask(paths.length === 0 ? ['labels'] : paths, `namespace ${JSON.stringify(name)}`, { labels: set });
      checkLabels('namespace.Labels', result);
      result = kept(result);
      this.#table.put([name], { name, labels: result });
      return result;
    });
    this.publish(name, '/namespaces/update', 'NamespaceUpdate', { name, labels: updated });
    return updated;
  }

  async delete(name: string): Promise<void> {
    checkName('', name);
    await this.db.write(() => {
      const left = [
        ...CONTENTS.filter(([table]) => this.db.range([table, name]).length > 0).map(([, what]) => what),
        ...this.#snapshotters(name).map((snapshotter) => `snapshots on ${JSON.stringify(snapshotter)} snapshotter`),
      ];
      if (left.length > 0)
        throw errdefs.failedPrecondition(
          `namespace ${JSON.stringify(name)} must be empty, but it still has ${left.join(', ')}`,
        );
      if (!this.#table.has(name)) throw errdefs.notFound(`namespace ${JSON.stringify(name)}`);
      for (const table of BELONGINGS) for (const { key } of this.db.range([table, name])) this.db.remove(key);
      this.#table.remove(name);
    });
    this.publish(name, '/namespaces/delete', 'NamespaceDelete', { name });
  }

  #snapshotters(name: string): string[] {
    return [...new Set(this.db.range(['snapshot', name]).map(({ key }) => key[2] ?? ''))];
  }
}
