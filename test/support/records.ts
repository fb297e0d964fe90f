/** The metadata stores over a database of their own, without a daemon around them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventType, type google } from '../../src/api/full.js';
import { BlobFiles } from '../../src/daemon/content/files.js';
import { Content } from '../../src/daemon/content/store.js';
import type { BoundService, Call } from '../../src/daemon/grpc/service.js';
import type { Exchange } from '../../src/daemon/events/types.js';
import { Containers } from '../../src/daemon/metadata/containers.js';
import { Database } from '../../src/daemon/db/database.js';
import { Images } from '../../src/daemon/metadata/images.js';
import { Leases } from '../../src/daemon/metadata/leases.js';
import { Namespaces } from '../../src/daemon/metadata/namespaces.js';
import { Sandboxes } from '../../src/daemon/metadata/sandboxes.js';
import type { Handlers } from '../../src/ttrpc/handlers.js';
import type { ServiceDefinition } from '../../src/ttrpc/service.js';
import { publisher, type Publish } from '../../src/daemon/events/publisher.js';

export interface Published {
  namespace: string;
  topic: string;
  /** The full name of the event's message. */
  type: string;
  event: Record<string, unknown>;
}

/** Keeps what is published, decoded. */
export function recorder(): { published: Published[]; publish: Publish; exchange: Pick<Exchange, 'publish'> } {
  const published: Published[] = [];
  const exchange = {
    publish: (namespace: string, topic: string, event: google.protobuf.Any.$Properties): void => {
      const type = event.type_url!;
      published.push({ namespace, topic, type, event: { ...eventType(type)!.decode(event.value!) } });
    },
  };
  return { published, publish: publisher(exchange), exchange };
}

/** A directory that goes when the tests end: hooks run in the order of their making, so one of the test's own would take it from a store that is still open. */
export function workDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-store-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

/** A call as the gRPC server would make it. */
export function call(namespace = 'ns', lease?: string): Call {
  return {
    service: '',
    method: '',
    namespace,
    lease,
    signal: new AbortController().signal,
    deadline: undefined,
    header: () => undefined,
  };
}

/** What answers a service, by its methods' names, for tests that call it without a server. */
export function handlersOf<S extends ServiceDefinition>(
  service: BoundService,
  definition: S,
): Required<Handlers<S, Call>> {
  if (service.definition.name !== definition.name)
    throw new Error(`${service.definition.name} is not ${definition.name}`);
  return service.handlers as Required<Handlers<S, Call>>;
}

export interface Records {
  db: Database;
  namespaces: Namespaces;
  containers: Containers;
  sandboxes: Sandboxes;
  images: Images;
  leases: Leases;
  content: Content;
  files: BlobFiles;
  published: Published[];
  publish: Publish;
  /** How often something was deleted. */
  readonly deletions: () => number;
}

export function openRecords(t: TestContext, dir = workDirectory()): Records {
  const db = new Database(join(dir, 'meta.mdb'));
  t.after(() => db.close());
  const { published, publish } = recorder();
  let deletions = 0;
  const changed = (): void => void deletions++;
  const namespaces = new Namespaces(db, publish);
  const leases = new Leases(db, namespaces, changed);
  const files = new BlobFiles(join(dir, 'content'));
  return {
    db,
    namespaces,
    published,
    publish,
    leases,
    files,
    content: new Content({ db, files, namespaces, leases, publish, changed }),
    deletions: () => deletions,
    containers: new Containers(db, namespaces, publish, changed),
    sandboxes: new Sandboxes(db, namespaces, changed),
    images: new Images(db, namespaces, publish, changed),
  };
}

/** What an assertion takes for an error of containerd's: its whole text. */
export function failure(message: string): { message: string } {
  return { message };
}
