/**
 * Blobs and ingests on disk, laid out as containerd's:
 *
 *     blobs/sha256/HEX          0444
 *     ingest/SHA256-OF-REF/     data, ref, startedat, updatedat, total
 *     trash/                    what is being removed
 *
 * Nothing here knows of namespaces: references are unique among all, and a blob belongs to whoever can name it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errdefs } from '../../api/full.js';
import { checkDigest } from '../db/validate.js';
import { Trash } from '../trash.js';
import { later, parseTime, type Moment } from './times.js';
import type { Blob, ContentStatus } from './types.js';

export class BlobFiles {
  readonly #trash: Trash;
  readonly #pins = new Map<string, number>();

  constructor(readonly root: string) {
    mkdirSync(join(root, 'blobs', 'sha256'), { recursive: true, mode: 0o755 });
    mkdirSync(join(root, 'ingest'), { recursive: true, mode: 0o755 });
    this.#trash = new Trash(join(root, 'trash'));
  }

  path(digest: string): string {
    checkDigest(digest);
    const at = digest.indexOf(':');
    return join(this.root, 'blobs', digest.slice(0, at), digest.slice(at + 1));
  }

  /** Bytes, or undefined when there is none. */
  size(digest: string): number | undefined {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size;
  }

  async open(digest: string): Promise<Blob> {
    let handle: FileHandle;
    try {
      handle = await open(this.path(digest), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw errdefs.notFound(`content ${digest}`, error);
      throw error;
    }
    try {
      return new FileBlob(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  digests(): string[] {
    const blobs = join(this.root, 'blobs');
    return readdirSync(blobs).flatMap((algorithm) =>
      readdirSync(join(blobs, algorithm)).map((hex) => `${algorithm}:${hex}`),
    );
  }

  /** Takes a blob out of sight, at once, unless somebody is about to refer to it. {@link sweep} removes it for good. */
  remove(digest: string): void {
    if (!this.#pins.has(digest)) this.#trash.take(this.path(digest));
  }

  /** Keeps a blob from being removed until the function that this gives is called. */
  pin(digest: string): () => void {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
    let held = true;
    return () => {
      const left = (this.#pins.get(digest) ?? 0) - (held ? 1 : 0);
      held = false;
      if (left > 0) this.#pins.set(digest, left);
      else this.#pins.delete(digest);
    };
  }

  /** Where a reference's ingest lies. */
  ingestDirectory(ref: string): string {
    return join(this.root, 'ingest', createHash('sha256').update(ref).digest('hex'));
  }

  /** Takes every ingest but those of these references out of sight, at once. {@link sweep} removes them for good. */
  keepIngests(refs: Iterable<string>): void {
    const kept = new Set([...refs].map((ref) => this.ingestDirectory(ref)));
    const root = join(this.root, 'ingest');
    for (const name of readdirSync(root)) if (!kept.has(join(root, name))) this.#trash.take(join(root, name));
  }

  /** Removes for good what was taken out of sight, by an earlier process too. */
  sweep(): Promise<void> {
    return this.#trash.empty();
  }

  /** How far an ingest is that nobody writes to now; undefined when there is none. */
  ingestStatus(ref: string): (ContentStatus & { startedAt: Moment; updatedAt: Moment }) | undefined {
    const dir = this.ingestDirectory(ref);
    const data = statSync(join(dir, 'data'), { throwIfNoEntry: false, bigint: true });
    const startedAt = parseTime(readText(join(dir, 'startedat')) ?? '');
    const updated = parseTime(readText(join(dir, 'updatedat')) ?? '');
    if (data === undefined || startedAt === undefined || updated === undefined || readText(join(dir, 'ref')) !== ref)
      return undefined;
    // It is only written down when the writer goes, so the file's own time may be later.
    const updatedAt = later(updated, {
      seconds: Number(data.mtimeNs / 1_000_000_000n),
      nanos: Number(data.mtimeNs % 1_000_000_000n),
    });
    const total = Number(readText(join(dir, 'total')) ?? 0) || 0;
    return { ref, offset: Number(data.size), total, startedAt, updatedAt };
  }

  hasIngest(ref: string): boolean {
    return existsSync(this.ingestDirectory(ref));
  }

  /**
   * Takes an ingest out of sight, at once: the reference is free for another one.
   *
   * @returns removes it for good
   */
  removeIngest(ref: string): () => Promise<void> {
    return this.#trash.take(this.ingestDirectory(ref));
  }
}

class FileBlob implements Blob {
  constructor(
    readonly handle: FileHandle,
    readonly size: number,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    const buffer = Buffer.allocUnsafe(wanted);
    let got = 0;
    while (got < wanted) {
      const { bytesRead } = await this.handle.read(buffer, got, wanted - got, offset + got);
      if (bytesRead === 0) break;
      got += bytesRead;
    }
    return buffer.subarray(0, got);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
