import type { Logger } from 'pino';
import { errdefs } from '../../api/full.js';
import type { BlobFiles } from '../content/files.js';
import { Content } from '../content/store.js';
import type { Exchange } from '../events/types.js';
import { settleAll } from '../settle.js';
import { Snapshots } from '../snapshots/store.js';
import type { SnapshotDriver } from '../snapshots/types.js';
import { Collector, type Removed } from './collector.js';
import { Containers } from './containers.js';
import { Database } from '../db/database.js';
import { Images } from './images.js';
import { Leases } from './leases.js';
import { Namespaces } from './namespaces.js';
import { publisher, type Publish } from '../events/publisher.js';
import { Sandboxes } from './sandboxes.js';
import { Schedule } from './schedule.js';
import type { Metadata } from './types.js';

export interface MetadataOptions {
  /** The database's file. */
  readonly file: string;
  readonly files: BlobFiles;
  readonly drivers: ReadonlyMap<string, SnapshotDriver>;
  /** The one that an empty name means. */
  readonly defaultSnapshotter: string;
  readonly events: Pick<Exchange, 'publish'>;
  readonly log: Pick<Logger, 'debug' | 'warn'>;
  readonly collectDelayMs: number;
  readonly collectIntervalMs: number;
}

/** All stores over one database. */
export class MetadataStore implements Metadata {
  readonly db: Database;
  readonly namespaces: Namespaces;
  readonly containers: Containers;
  readonly sandboxes: Sandboxes;
  readonly images: Images;
  readonly leases: Leases;
  readonly content: Content;
  readonly #snapshots: ReadonlyMap<string, Snapshots>;
  readonly #schedule: Schedule;
  readonly #publish: Publish;
  readonly #collector: Collector;

  constructor(readonly options: MetadataOptions) {
    const { file, files, drivers, events, log, collectDelayMs, collectIntervalMs } = options;
    const db = (this.db = new Database(file));
    const publish = (this.#publish = publisher(events));
    this.#schedule = new Schedule(
      () => this.#collect(),
      collectDelayMs,
      collectIntervalMs,
      (error) => log.warn({ err: error }, 'what is not used any more could not be removed'),
    );
    const changed = (): void => this.#schedule.changed();
    const namespaces = (this.namespaces = new Namespaces(db, publish));
    const leases = (this.leases = new Leases(db, namespaces, changed));
    this.containers = new Containers(db, namespaces, publish, changed);
    this.sandboxes = new Sandboxes(db, namespaces, changed);
    this.images = new Images(db, namespaces, publish, changed);
    this.content = new Content({ db, files, namespaces, leases, publish, changed });
    this.#snapshots = new Map(
      [...drivers].map(([name, driver]) => [
        name,
        new Snapshots(name, driver, { db, namespaces, leases, publish, changed }),
      ]),
    );
    this.#collector = new Collector(db, leases, (ref) => this.content.writtenAt(ref));
    // What the last daemon did not come to remove.
    changed();
  }

  snapshotter(name: string): Snapshots {
    const found = this.#snapshots.get(name === '' ? this.options.defaultSnapshotter : name);
    if (found === undefined)
      throw errdefs.invalidArgument(`snapshotter not loaded: ${name || this.options.defaultSnapshotter}`);
    return found;
  }

  collect(): Promise<void> {
    return this.#schedule.now();
  }

  async close(): Promise<void> {
    await this.#schedule.close();
    await this.db.close();
  }

  async #collect(): Promise<void> {
    const { log } = this.options;
    const removed = await this.db.write(() => this.#collector.sweep(Date.now()));
    for (const one of removed) this.#tell(one);
    if (removed.length > 0) log.debug({ removed: removed.length }, 'collected what nothing refers to');
    await settleAll([this.content, ...this.#snapshots.values()].map((store) => store.cleanup()));
  }

  #tell({ namespace, type, key }: Removed): void {
    if (type === 'content') this.#publish(namespace, '/content/delete', 'ContentDelete', { digest: key });
    else if (type !== 'ingests')
      this.#publish(namespace, '/snapshot/remove', 'SnapshotRemove', {
        key,
        snapshotter: type.slice('snapshots/'.length),
      });
  }
}
