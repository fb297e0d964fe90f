import { errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import type { Table } from '../db/database.js';
import type { StoreParts } from '../db/parts.js';
import { checkLabels } from '../db/validate.js';
import { kept } from '../db/mask.js';
import { IngestFile } from './ingest-file.js';
import type { BlobFiles } from './files.js';
import type { ContentInfo, ContentStatus, Ingest } from './types.js';

/** What the store of content shares with its ingests. */
export interface ContentParts extends StoreParts {
  readonly files: BlobFiles;
}

/** The store of content, to its ingests. */
export interface ContentTables {
  readonly parts: ContentParts;
  readonly blobs: Table<ContentInfo>;
  /** By namespace and reference; `ref` inside is the file's, `expected` the blob of another namespace that it stands for. */
  readonly ingests: Table<ContentStatus>;
}

interface Where {
  readonly namespace: string;
  readonly ref: string;
  readonly fileRef: string;
  readonly total: number;
  readonly lease: string | undefined;
  /** A blob of another namespace that this one stands for as long as nothing else is written. */
  readonly shared: { readonly digest: string; readonly size: number } | undefined;
}

/** A namespace's write: to a file, or to nothing where the blob is there for another namespace. */
export class NamespacedIngest implements Ingest {
  #file: IngestFile | undefined;
  #ended = false;
  readonly #startedAt = realtime();

  private constructor(
    readonly store: ContentTables,
    readonly where: Where,
    readonly release: () => void,
  ) {}

  static async open(store: ContentTables, where: Where, release: () => void): Promise<NamespacedIngest> {
    const ingest = new NamespacedIngest(store, where, release);
    if (where.shared === undefined) ingest.#file = await IngestFile.open(store.parts.files, where.fileRef, where.total);
    return ingest;
  }

  status(): ContentStatus {
    const { ref, shared } = this.where;
    if (this.#file !== undefined) return { ...this.#file.status(), ref };
    return {
      ref,
      offset: shared!.size,
      total: shared!.size,
      expected: shared!.digest,
      startedAt: this.#startedAt,
      updatedAt: this.#startedAt,
    };
  }

  digest(): string {
    return this.#file?.digest() ?? this.where.shared!.digest;
  }

  async write(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    await (await this.#own(true)).write(data);
  }

  async truncate(size: number): Promise<void> {
    await (await this.#own(false)).truncate(size);
  }

  /** A file of its own, with what the shared blob has where that is wanted. */
  async #own(copy: boolean): Promise<IngestFile> {
    if (this.#ended) throw errdefs.failedPrecondition(`the write of ${this.where.ref} has ended`);
    if (this.#file !== undefined) return this.#file;
    const { namespace, ref, fileRef, shared } = this.where;
    const { files, db } = this.store.parts;
    await db.write(() => this.store.ingests.put([namespace, ref], { ref: fileRef, startedAt: this.#startedAt }));
    const file = await IngestFile.open(files, fileRef, 0);
    this.#file = file;
    if (!copy) return file;
    const blob = await files.open(shared!.digest);
    try {
      for (let offset = 0; offset < blob.size; offset += 1 << 20) await file.write(await blob.read(offset, 1 << 20));
    } finally {
      await blob.close();
    }
    return file;
  }

  async commit(size: number, expected: string, labels: Record<string, string>): Promise<string> {
    if (this.#ended) throw errdefs.failedPrecondition(`the write of ${this.where.ref} has ended`);
    checkLabels('info.Labels', labels);
    const { namespace, ref, lease } = this.where;
    const { db, files, leases, namespaces, publish } = this.store.parts;
    const offset = Number(this.status().offset ?? 0);
    const digest = this.digest();
    if (size > 0 && size !== offset)
      throw errdefs.failedPrecondition(`${JSON.stringify(ref)} failed size validation: ${offset} != ${size}`);
    if (expected !== '' && expected !== digest)
      throw errdefs.failedPrecondition(`unexpected commit digest ${digest}, expected ${expected}`);
    const unpin = files.pin(digest);
    try {
      this.#ended = true;
      await this.#file?.publish();
      const existed = await db.write(() => {
        leases.keep(namespace, lease, 'content', digest);
        leases.release(namespace, lease, 'ingests', ref);
        this.store.ingests.remove(namespace, ref);
        if (this.store.blobs.has(namespace, digest)) return true;
        const now = realtime();
        this.store.blobs.put([namespace, digest], {
          digest,
          size: offset,
          labels: kept(labels),
          createdAt: now,
          updatedAt: now,
        });
        namespaces.ensure(namespace);
        return false;
      });
      if (existed) throw errdefs.alreadyExists(`content ${digest}`);
    } finally {
      unpin();
      this.release();
    }
    publish(namespace, '/content/create', 'ContentCreate', { digest, size: offset });
    return digest;
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file?.close();
    this.release();
  }
}
