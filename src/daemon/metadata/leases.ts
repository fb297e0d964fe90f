import { randomUUID } from 'node:crypto';
import { containerd, errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table, type Database } from '../db/database.js';
import { kept } from '../db/mask.js';
import type { LeaseRecords } from '../db/parts.js';
import type { Namespaces } from './namespaces.js';
import type { Lease, LeaseStore, Resource } from './types.js';
import { checkDigest, checkLabels, checkName } from '../db/validate.js';

/** Leases keep what was made under them, and what was added to them, from being collected. */
export class Leases implements LeaseStore, LeaseRecords {
  readonly #table: Table<Lease>;
  readonly #resources: Table<Resource>;

  constructor(
    readonly db: Database,
    readonly namespaces: Namespaces,
    readonly changed: () => void,
  ) {
    this.#table = new Table(db, 'lease', containerd.services.leases.v1.Lease);
    this.#resources = new Table(db, 'leased', containerd.services.leases.v1.Resource);
  }

  /** One that has no id is given one. */
  async create(namespace: string, lease: Lease): Promise<Lease> {
    checkName('', namespace);
    const id = lease.id || randomUUID();
    checkLabels('lease.Labels', lease.labels);
    const made: Lease = { id, labels: kept(lease.labels), createdAt: realtime() };
    await this.db.write(() => {
      if (this.#table.has(namespace, id)) throw errdefs.alreadyExists(`lease ${JSON.stringify(id)}`);
      this.#table.put([namespace, id], made);
      this.namespaces.ensure(namespace);
    });
    return made;
  }

  async delete(namespace: string, id: string): Promise<void> {
    await this.db.write(() => this.drop(namespace, id));
    this.changed();
  }

  /** Inside a write: a lease with the list of what it keeps. */
  drop(namespace: string, id: string): void {
    this.#check(namespace, id);
    this.#table.remove(namespace, id);
    for (const { key } of this.#resources.rows(namespace, id)) this.#resources.remove(...key);
  }

  list(namespace: string, filters: readonly string[]): Lease[] {
    const matches = compileFilters(filters);
    return this.#table.list(namespace).filter((lease) => matches(adapt(lease)));
  }

  async addResource(namespace: string, id: string, resource: Resource): Promise<void> {
    await this.db.write(() => {
      this.#check(namespace, id);
      const { type, key } = checkResource(resource);
      this.keep(namespace, id, type, key);
    });
  }

  async deleteResource(namespace: string, id: string, resource: Resource): Promise<void> {
    await this.db.write(() => {
      this.#check(namespace, id);
      const { type, key } = checkResource(resource);
      this.#resources.remove(namespace, id, type, key);
    });
    this.changed();
  }

  resources(namespace: string, id: string): Resource[] {
    this.#check(namespace, id);
    return this.#resources.list(namespace, id);
  }

  keep(namespace: string, id: string | undefined, type: string, key: string): void {
    if (id === undefined || id === '') return;
    this.#check(namespace, id);
    this.#resources.put([namespace, id, type, key], { id: key, type });
  }

  release(namespace: string, id: string | undefined, type: string, key: string): void {
    if (id !== undefined && id !== '') this.#resources.remove(namespace, id, type, key);
  }

  #check(namespace: string, id: string): void {
    if (!this.#table.has(namespace, id)) throw errdefs.notFound(`lease ${JSON.stringify(id)}`);
  }
}

function checkResource(resource: Resource): { type: string; key: string } {
  const type = resource.type ?? '';
  const key = resource.id ?? '';
  const [kind = '', ...rest] = type.split('/');
  switch (kind) {
    case 'content':
      if (rest.length > 0) throw errdefs.invalidArgument(`invalid content resource type: ${type}`);
      checkDigest(key, `invalid content resource id: ${key}`);
      break;
    case 'ingests':
    case 'images':
      if (rest.length > 0) throw errdefs.invalidArgument(`invalid ${kind} resource type: ${type}`);
      break;
    case 'snapshots':
      if (rest.length !== 1 || rest[0] === '') throw errdefs.invalidArgument(`invalid snapshot resource type ${type}`);
      break;
    default:
      throw errdefs.notImplemented(`resource type ${type} not supported yet`);
  }
  if (key === '') throw errdefs.invalidArgument(`a resource of type ${type} needs an id`);
  return { type, key };
}

function adapt(lease: Lease): Adapter {
  return ([name, ...rest]) =>
    name === 'id' ? field(lease.id) : name === 'labels' ? entry(lease.labels, rest) : undefined;
}
