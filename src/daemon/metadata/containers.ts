import { containerd, errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table, type Database } from '../db/database.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import type { Namespaces } from './namespaces.js';
import type { Publish } from '../events/publisher.js';
import type { Container, ContainerStore } from './types.js';
import { checkLabels, checkName, within } from '../db/validate.js';

/** What an update without a mask replaces; the rest of a container never changes. */
const MUTABLE = ['labels', 'spec', 'extensions', 'image', 'snapshot_key'];

/** Containers: what is to run, and never what runs. */
export class Containers implements ContainerStore {
  readonly #table: Table<Container>;

  constructor(
    readonly db: Database,
    readonly namespaces: Namespaces,
    readonly publish: Publish,
    readonly changed: () => void,
  ) {
    this.#table = new Table(db, 'container', containerd.services.containers.v1.Container);
  }

  get(namespace: string, id: string): Container {
    const found = this.#table.get(namespace, id);
    if (found === undefined)
      throw errdefs.notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
    return found;
  }

  list(namespace: string, filters: readonly string[]): Container[] {
    const matches = compileFilters(filters);
    return this.#table.list(namespace).filter((container) => matches(adapt(container)));
  }

  async create(namespace: string, container: Container): Promise<Container> {
    checkName('', namespace);
    within('create container failed validation', () => checkContainer(container));
    const id = container.id!;
    const now = realtime();
    const made: Container = { ...container, labels: kept(container.labels), createdAt: now, updatedAt: now };
    await this.db.write(() => {
      if (this.#table.has(namespace, id)) throw errdefs.alreadyExists(`container ${JSON.stringify(id)}`);
      this.#table.put([namespace, id], made);
      this.namespaces.ensure(namespace);
    });
    const { image = '', runtime } = made;
    this.publish(namespace, '/containers/create', 'ContainerCreate', {
      id,
      image,
      runtime: { name: runtime?.name ?? '', options: runtime?.options ?? null },
    });
    return made;
  }

  async update(namespace: string, container: Container, paths: readonly string[]): Promise<Container> {
    const id = container.id ?? '';
    if (id === '') throw errdefs.invalidArgument('must specify a container id');
    const updated = await this.db.write(() => {
      const old = this.#table.get(namespace, id);
      if (old === undefined)
        throw errdefs.notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
      if (paths.length === 0) refuseImmutable(old, container);
      const result: Container = { ...old };
      applyMask(
        paths.length === 0 ? MUTABLE : paths,
        JSON.stringify(id),
        {
          labels: (key) => (result.labels = replaceEntries(result.labels, container.labels, key)),
          extensions: (key) => (result.extensions = replaceEntries(result.extensions, container.extensions, key)),
          spec: () => (result.spec = container.spec ?? null),
          image: () => (result.image = container.image ?? ''),
          snapshot_key: () => (result.snapshotKey = container.snapshotKey ?? ''),
          // The name that containerd's own client uses.
          snapshotkey: () => (result.snapshotKey = container.snapshotKey ?? ''),
        },
        ['labels', 'extensions'],
      );
      within('update failed validation', () => checkContainer(result));
      result.labels = kept(result.labels);
      result.updatedAt = realtime();
      this.#table.put([namespace, id], result);
      return result;
    });
    this.publish(namespace, '/containers/update', 'ContainerUpdate', {
      id,
      image: updated.image ?? '',
      labels: updated.labels ?? {},
      snapshotKey: updated.snapshotKey ?? '',
    });
    return updated;
  }

  async delete(namespace: string, id: string): Promise<void> {
    await this.db.write(() => {
      if (!this.#table.has(namespace, id))
        throw errdefs.notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
      this.#table.remove(namespace, id);
    });
    this.changed();
    this.publish(namespace, '/containers/delete', 'ContainerDelete', { id });
  }
}

function checkContainer(container: Container): void {
  checkName('container.ID', container.id ?? '');
  if (Object.hasOwn(container.extensions ?? {}, ''))
    throw errdefs.invalidArgument('container.Extension keys must not be zero-length');
  checkLabels('containers.Labels', container.labels);
  if (!container.runtime?.name) throw errdefs.invalidArgument('container.Runtime.Name must be set');
  if (!container.spec) throw errdefs.invalidArgument('container.Spec must be set');
  if (container.snapshotKey && !container.snapshotter)
    throw errdefs.invalidArgument('container.Snapshotter must be set if container.SnapshotKey is set');
}

function refuseImmutable(old: Container, given: Container): void {
  if ((old.snapshotter ?? '') !== (given.snapshotter ?? ''))
    throw errdefs.invalidArgument('container.Snapshotter field is immutable');
  if ((old.runtime?.name ?? '') !== (given.runtime?.name ?? ''))
    throw errdefs.invalidArgument('container.Runtime.Name field is immutable');
}

function adapt(container: Container): Adapter {
  return ([name = '', ...rest]) => {
    switch (name) {
      case 'id':
        return field(container.id);
      case 'runtime':
        return rest[0] === 'name' ? field(container.runtime?.name) : undefined;
      case 'image':
        return field(container.image);
      // containerd's own store has no such filter.
      case 'sandbox':
        return field(container.sandbox);
      case 'labels':
        return entry(container.labels, rest);
      default:
        return undefined;
    }
  };
}
