/**
 * Garbage collection: of content and snapshots, what nothing refers to goes.
 *
 * Kept is what an image, a container, a sandbox or a lease names, what has the label `containerd.io/gc.root`, and what is reached from
 * there: by `containerd.io/gc.ref.content…` and `containerd.io/gc.ref.snapshot.NAME` labels, and from a snapshot to its parent.
 * A lease with `containerd.io/gc.flat` keeps what it names and not what that leads to; one whose `containerd.io/gc.expire` has
 * passed goes itself.
 */
import { containerd } from '../../api/full.js';
import type { ContentInfo, ContentStatus } from '../content/types.js';
import type { SnapshotInfo } from '../snapshots/types.js';
import { Table, type Database } from '../db/database.js';
import type { Leases } from './leases.js';
import type { Container, Image, Labels, Lease, Resource, Sandbox } from './types.js';

const ROOT = 'containerd.io/gc.root';
const EXPIRE = 'containerd.io/gc.expire';
const FLAT = 'containerd.io/gc.flat';
const CONTENT = 'containerd.io/gc.ref.content';
const SNAPSHOT = 'containerd.io/gc.ref.snapshot.';
/** A write that no lease keeps is given up after a day. */
const INGEST_MS = 24 * 3600 * 1000;

/** `content` or `ingests` or `snapshots/NAME`, as leases call them, and a key. */
type Node = readonly [type: string, key: string];

export interface Removed {
  readonly namespace: string;
  readonly type: string;
  readonly key: string;
}

export class Collector {
  readonly #blobs: Table<ContentInfo>;
  readonly #snapshots: Table<SnapshotInfo>;
  readonly #ingests: Table<ContentStatus>;
  readonly #images: Table<Image>;
  readonly #containers: Table<Container>;
  readonly #sandboxes: Table<Sandbox>;
  readonly #leases: Table<Lease>;
  readonly #leased: Table<Resource>;

  /** @param updated when a write was last written to, in milliseconds since the epoch: now, while it is open; undefined when its file is gone */
  constructor(
    readonly db: Database,
    readonly leases: Leases,
    readonly updated: (ref: string) => number | undefined,
  ) {
    const { services } = containerd;
    this.#blobs = new Table(db, 'blob', services.content.v1.Info);
    this.#snapshots = new Table(db, 'snapshot', services.snapshots.v1.Info);
    this.#ingests = new Table(db, 'ingest', services.content.v1.Status);
    this.#images = new Table(db, 'image', services.images.v1.Image);
    this.#containers = new Table(db, 'container', services.containers.v1.Container);
    this.#sandboxes = new Table(db, 'sandbox', containerd.types.Sandbox);
    this.#leases = new Table(db, 'lease', services.leases.v1.Lease);
    this.#leased = new Table(db, 'leased', services.leases.v1.Resource);
  }

  /** Inside a write: removes records of what nothing refers to. Their files are for others to remove, once this is on disk. */
  sweep(now: number): Removed[] {
    return [...this.#namespaces()].flatMap((namespace) => this.#sweep(namespace, now));
  }

  #sweep(namespace: string, now: number): Removed[] {
    for (const lease of this.#leases.list(namespace))
      if (isPast(lease.labels?.[EXPIRE], now)) this.leases.drop(namespace, lease.id ?? '');
    const kept = this.#mark(namespace);
    const removed: Removed[] = [];
    for (const {
      key: [, digest = ''],
    } of this.#blobs.rows(namespace)) {
      if (kept.has(id(['content', digest]))) continue;
      this.#blobs.remove(namespace, digest);
      removed.push({ namespace, type: 'content', key: digest });
    }
    for (const {
      key: [, snapshotter = '', key = ''],
    } of this.#snapshots.rows(namespace)) {
      if (kept.has(id([`snapshots/${snapshotter}`, key]))) continue;
      this.#snapshots.remove(namespace, snapshotter, key);
      this.db.remove(['layer', namespace, snapshotter, key]);
      removed.push({ namespace, type: `snapshots/${snapshotter}`, key });
    }
    for (const {
      key: [, ref = ''],
      value,
    } of this.#ingests.rows(namespace)) {
      const since = this.updated(value.ref ?? '') ?? Number(value.startedAt?.seconds ?? 0) * 1000;
      if (kept.has(id(['ingests', ref])) || now - since < INGEST_MS) continue;
      this.#ingests.remove(namespace, ref);
      removed.push({ namespace, type: 'ingests', key: ref });
    }
    return removed;
  }

  /** Everything that is referred to, at any remove. */
  #mark(namespace: string): Set<string> {
    const kept = new Set<string>();
    const todo: Node[] = [];
    const flat: Node[] = [];
    for (const lease of this.#leases.list(namespace)) {
      const resources = this.#leased
        .list(namespace, lease.id ?? '')
        .map(({ type, id: key }): Node => [type ?? '', key ?? '']);
      (lease.labels?.[FLAT] === undefined ? todo : flat).push(...resources);
    }
    for (const { target, labels } of this.#images.list(namespace))
      todo.push(['content', target?.digest ?? ''], ...references(labels));
    for (const { snapshotter, snapshotKey, labels } of this.#containers.list(namespace)) {
      if (snapshotter && snapshotKey) todo.push([`snapshots/${snapshotter}`, snapshotKey]);
      todo.push(...references(labels));
    }
    for (const { labels } of this.#sandboxes.list(namespace)) todo.push(...references(labels));
    for (const { digest, labels } of this.#blobs.list(namespace))
      if (labels?.[ROOT] !== undefined) todo.push(['content', digest ?? '']);
    for (const {
      key: [, snapshotter = '', key = ''],
      value,
    } of this.#snapshots.rows(namespace)) {
      if (value.labels?.[ROOT] !== undefined) todo.push([`snapshots/${snapshotter}`, key]);
    }
    for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
      if (kept.has(id(node))) continue;
      kept.add(id(node));
      todo.push(...this.#leadsTo(namespace, node));
    }
    for (const node of flat) kept.add(id(node));
    return kept;
  }

  #leadsTo(namespace: string, [type, key]: Node): Node[] {
    if (type === 'content') return references(this.#blobs.get(namespace, key)?.labels);
    // An image that a lease names leads where it would by itself.
    if (type === 'images') {
      const image = this.#images.get(namespace, key);
      return image === undefined ? [] : [['content', image.target?.digest ?? ''], ...references(image.labels)];
    }
    if (!type.startsWith('snapshots/')) return [];
    const snapshot = this.#snapshots.get(namespace, type.slice('snapshots/'.length), key);
    if (snapshot === undefined) return [];
    return [...(snapshot.parent ? [[type, snapshot.parent] as const] : []), ...references(snapshot.labels)];
  }

  #namespaces(): Set<string> {
    const tables = [this.#blobs, this.#snapshots, this.#ingests, this.#leases];
    return new Set(tables.flatMap((table) => table.rows().map(({ key }) => key[0]!)));
  }
}

/** What labels refer to. Behind the type there may be a name that only tells labels apart. */
function references(labels: Labels | null | undefined): Node[] {
  return Object.entries(labels ?? {}).flatMap(([label, value]): Node[] => {
    if (label === CONTENT || label.startsWith(`${CONTENT}.`) || label.startsWith(`${CONTENT}/`))
      return [['content', value]];
    if (label.startsWith(SNAPSHOT)) return [[`snapshots/${label.slice(SNAPSHOT.length).split('/')[0]}`, value]];
    return [];
  });
}

function isPast(time: string | undefined, now: number): boolean {
  // One that cannot be read does not expire.
  return time !== undefined && Date.parse(time) < now;
}

function id([type, key]: Node): string {
  return `${type} ${key}`;
}
