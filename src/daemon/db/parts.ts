/**
 * What the stores of content and of snapshots are given: the database, and what they ask of the records of namespaces and
 * leases, which lie above them.
 */
import type { Publish } from '../events/publisher.js';
import type { Database } from './database.js';

/** Namespaces, to a store that makes something in them. */
export interface NamespaceRecords {
  /** Inside a write that makes something in a namespace: it is there from then on. */
  ensure(name: string): void;
}

/** Leases, to a store whose things they keep. */
export interface LeaseRecords {
  /**
   * Inside a write: has a lease, where there is one, keep what is being made.
   *
   * @param type `content`, `ingests` or `snapshots/SNAPSHOTTER`
   * @throws NotFound when there is no such lease; call it before anything is changed
   */
  keep(namespace: string, id: string | undefined, type: string, key: string): void;
  /** Inside a write: the lease under which something is being deleted has no hold on it any more. */
  release(namespace: string, id: string | undefined, type: string, key: string): void;
}

/** What each of the two stores is made of, besides its files. */
export interface StoreParts {
  readonly db: Database;
  readonly namespaces: NamespaceRecords;
  readonly leases: LeaseRecords;
  readonly publish: Publish;
  /** Called after something was deleted. */
  readonly changed: () => void;
}
