/** The metadata stores over a database of their own, without a daemon around them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { containerd, type google } from '../../src/api/full.js';
import type { Exchange } from '../../src/daemon/events/types.js';
import { Containers } from '../../src/daemon/metadata/containers.js';
import { Database } from '../../src/daemon/metadata/database.js';
import { Images } from '../../src/daemon/metadata/images.js';
import { Leases } from '../../src/daemon/metadata/leases.js';
import { Namespaces } from '../../src/daemon/metadata/namespaces.js';
import { publisher, type Publish } from '../../src/daemon/metadata/publisher.js';

export interface Published {
  namespace: string;
  topic: string;
  event: Record<string, unknown>;
}

/** Keeps what is published, decoded. */
export function recorder(): { published: Published[]; publish: Publish; exchange: Pick<Exchange, 'publish'> } {
  const published: Published[] = [];
  const types = containerd.events as unknown as Record<string, { decode(bytes: Uint8Array): object }>;
  const exchange = {
    publish: (namespace: string, topic: string, event: google.protobuf.Any.$Properties): void => {
      const name = event.type_url!.replace('containerd.events.', '');
      const type = types[name]!;
      published.push({ namespace, topic, event: { ...type.decode(event.value!) } });
    },
  };
  return { published, publish: publisher(exchange), exchange };
}

/** A directory that goes with the test. */
export function workDirectory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-store-'));
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

export interface Records {
  db: Database;
  namespaces: Namespaces;
  containers: Containers;
  images: Images;
  leases: Leases;
  published: Published[];
  /** How often something was deleted. */
  deletions(): number;
}

export function openRecords(t: TestContext, dir = workDirectory(t)): Records {
  const db = new Database(join(dir, 'meta.mdb'));
  t.after(() => db.close());
  const { published, publish } = recorder();
  let deletions = 0;
  const changed = (): void => void deletions++;
  const namespaces = new Namespaces(db, publish);
  return {
    db, namespaces, published, deletions: () => deletions,
    containers: new Containers(db, namespaces, publish, changed),
    images: new Images(db, namespaces, publish, changed),
    leases: new Leases(db, namespaces, changed),
  };
}

/** What an assertion takes for an error of containerd's: its whole text. */
export function failure(message: string): { message: string } {
  return { message };
}
