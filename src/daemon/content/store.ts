import { containerd, errdefs, millis } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table } from '../db/database.js';
import { isAlreadyExists } from '../failures.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import { checkDigest, checkLabels, checkName } from '../db/validate.js';
import { NamespacedIngest, type ContentParts, type ContentTables } from './ingest.js';
import { Locks } from './locks.js';
import type { Blob, ContentInfo, ContentStatus, ContentStore, Ingest } from './types.js';

type WriteOptions = Parameters<ContentStore['ingest']>[2];
type PutOptions = NonNullable<Parameters<ContentStore['put']>[3]>;

/**
 * Content by namespace: a blob is seen where it was written. Its file is shared, so a second namespace that says which blob it
 * is about to write finds it written, and has only to commit.
 */
export class Content implements ContentStore, ContentTables {
  readonly blobs: ContentTables['blobs'];
  readonly ingests: ContentTables['ingests'];
  readonly #locks = new Locks();

  constructor(readonly parts: ContentParts) {
    this.blobs = new Table(parts.db, 'blob', containerd.services.content.v1.Info);
    this.ingests = new Table(parts.db, 'ingest', containerd.services.content.v1.Status);
  }

  info(namespace: string, digest: string): ContentInfo {
    const found = this.blobs.get(namespace, digest);
    if (found === undefined) throw notFound(digest);
    return found;
  }

  list(namespace: string, filters: readonly string[]): ContentInfo[] {
    const matches = compileFilters(filters);
    return this.blobs.list(namespace).filter((info) => matches(adapt(info)));
  }

  async update(namespace: string, info: ContentInfo, paths: readonly string[]): Promise<ContentInfo> {
    const digest = info.digest ?? '';
    checkDigest(digest);
    return this.parts.db.write(() => {
      const result = { ...this.info(namespace, digest) };
      applyMask(paths.length === 0 ? ['labels'] : paths, `content info ${JSON.stringify(digest)}`, {
        labels: (key) => (result.labels = replaceEntries(result.labels, info.labels, key)),
      });
      checkLabels('info.Labels', result.labels);
      result.labels = kept(result.labels);
      result.updatedAt = realtime();
      this.blobs.put([namespace, digest], result);
      return result;
    });
  }

  async delete(namespace: string, digest: string, lease?: string): Promise<void> {
    checkDigest(digest);
    await this.parts.db.write(() => {
      if (!this.blobs.has(namespace, digest)) throw notFound(digest);
      this.blobs.remove(namespace, digest);
      this.parts.leases.release(namespace, lease, 'content', digest);
    });
    this.parts.changed();
    this.parts.publish(namespace, '/content/delete', 'ContentDelete', { digest });
  }

  keep(namespace: string, digest: string, lease?: string): Promise<boolean> {
    return this.parts.db.write(() => {
      if (!this.blobs.has(namespace, digest)) return false;
      this.parts.leases.keep(namespace, lease, 'content', digest);
      return true;
    });
  }

  async open(namespace: string, digest: string): Promise<Blob> {
    this.info(namespace, digest);
    return this.parts.files.open(digest);
  }

  async ingest(namespace: string, ref: string, { total = 0, expected = '', lease }: WriteOptions): Promise<Ingest> {
    checkName('', namespace);
    if (ref === '') throw errdefs.invalidArgument('ref must not be empty');
    if (expected !== '') checkDigest(expected);
    const { db, files, leases, namespaces } = this.parts;
    const fileRef = `${namespace}/1/${ref}`;
    const unlock = await this.#locks.take(fileRef);
    const unpin = expected === '' ? undefined : files.pin(expected);
    try {
      const found = await db.write(() => {
        const exists = expected !== '' && this.blobs.has(namespace, expected);
        leases.keep(namespace, lease, exists ? 'content' : 'ingests', exists ? expected : ref);
        if (exists) return undefined;
        const size = expected === '' ? undefined : files.size(expected);
        // One of another size is written anew, and the commit tells what was wrong.
        const shared = size !== undefined && (total === 0 || total === size) && !files.hasIngest(fileRef);
        this.ingests.put([namespace, ref], {
          ref: fileRef,
          expected: shared ? expected : '',
          startedAt: realtime(),
          offset: shared ? size : 0,
        });
        namespaces.ensure(namespace);
        return { size: shared ? size : undefined };
      });
      if (found === undefined) throw errdefs.alreadyExists(`content ${expected}`);
      return await NamespacedIngest.open(
        this,
        {
          namespace,
          ref,
          fileRef,
          total,
          lease,
          shared: found.size === undefined ? undefined : { digest: expected, size: found.size },
        },
        () => {
          unpin?.();
          unlock();
        },
      );
    } catch (error) {
      unpin?.();
      unlock();
      throw error;
    }
  }

  statuses(namespace: string, filters: readonly string[]): ContentStatus[] {
    const matches = compileFilters(filters);
    return this.ingests.rows(namespace).flatMap(({ key, value }) => {
      const status = this.#statusOf(key[1]!, value);
      return status !== undefined && matches(([name]) => (name === 'ref' ? field(status.ref) : undefined))
        ? [status]
        : [];
    });
  }

  status(namespace: string, ref: string): ContentStatus {
    const record = this.ingests.get(namespace, ref);
    const status = record === undefined ? undefined : this.#statusOf(ref, record);
    if (status === undefined) throw errdefs.notFound(`reference ${ref}`);
    return status;
  }

  #statusOf(ref: string, record: ContentStatus): ContentStatus | undefined {
    if (record.expected) return { ...record, ref, total: record.offset ?? 0, updatedAt: record.startedAt ?? null };
    const status = this.parts.files.ingestStatus(record.ref!);
    return (
      status && {
        ref,
        offset: status.offset ?? 0,
        total: status.total ?? 0,
        startedAt: status.startedAt ?? null,
        updatedAt: status.updatedAt ?? null,
      }
    );
  }

  async abort(namespace: string, ref: string, lease?: string): Promise<void> {
    const removal = await this.parts.db.write(() => {
      const found = this.ingests.get(namespace, ref);
      if (found === undefined) throw errdefs.notFound(`reference ${ref}`);
      // In this step, as whoever opens the reference next has its record in a later one. Should this one not reach the disk, the
      // record is there without files, and stands for a write that begins anew.
      const remove = this.parts.files.removeIngest(found.ref!);
      this.ingests.remove(namespace, ref);
      this.parts.leases.release(namespace, lease, 'ingests', ref);
      return remove;
    });
    await removal();
  }

  /** When a write was last written to, in milliseconds since the epoch: now, while it is open. Undefined when its file is gone. */
  writtenAt(fileRef: string): number | undefined {
    return this.#locks.isHeld(fileRef) ? Date.now() : millis(this.parts.files.ingestStatus(fileRef)?.updatedAt);
  }

  /**
   * Removes files that belong to no record. Blobs that are about to be recorded are pinned, and writes that are open hold their
   * reference, until their records can be read; so all is known in one turn, and in this turn what nobody has is taken out of sight.
   */
  async cleanup(): Promise<void> {
    const { files } = this.parts;
    const recorded = new Set(this.blobs.rows().map(({ key }) => key[1]!));
    const failures: unknown[] = [];
    for (const digest of files.digests()) {
      if (recorded.has(digest)) continue;
      try {
        files.remove(digest);
      } catch (error) {
        // One that cannot be removed keeps no other.
        failures.push(error);
      }
    }
    files.keepIngests([...this.ingests.list().map(({ ref }) => ref!), ...this.#locks.held()]);
    await files.sweep();
    if (failures.length > 0) throw failures[0] as Error;
  }

  async put(
    namespace: string,
    ref: string,
    data: Uint8Array | AsyncIterable<Uint8Array>,
    { expected = '', labels = {}, lease }: PutOptions = {},
  ): Promise<{ digest: string; size: number }> {
    let ingest: Ingest;
    for (;;) {
      try {
        ingest = await this.ingest(namespace, ref, { expected, lease });
        break;
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        const known = this.blobs.get(namespace, expected);
        if (known !== undefined) return { digest: expected, size: Number(known.size ?? 0) };
        // Removed again, as no lease keeps it: then it is to be written.
      }
    }
    try {
      if (Number(ingest.status().offset) > 0 && ingest.status().expected !== expected) await ingest.truncate(0);
      if (!ingest.status().expected)
        for await (const chunk of data instanceof Uint8Array ? [data] : data) await ingest.write(chunk);
      const size = Number(ingest.status().offset);
      const digest = ingest.digest();
      try {
        await ingest.commit(size, expected, labels);
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
      return { digest, size };
    } finally {
      await ingest.close();
    }
  }
}

function notFound(digest: string): Error {
  return errdefs.notFound(`content digest ${digest}`);
}

function adapt(info: ContentInfo): Adapter {
  return ([name, ...rest]) =>
    name === 'digest' ? field(info.digest) : name === 'labels' ? entry(info.labels, rest) : undefined;
}
