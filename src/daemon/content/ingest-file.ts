import { createHash, type Hash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { chmod, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import type { BlobFiles } from './files.js';
import { formatTime, type Moment } from './times.js';
import type { ContentStatus } from './types.js';

const CHUNK = 1 << 20;

/** A write to disk under way. One at a time has a reference's file: whoever opens it sees to that. */
export class IngestFile {
  readonly #dir: string;
  #hash: Hash = createHash('sha256');
  #offset = 0;

  private constructor(
    readonly files: BlobFiles,
    readonly ref: string,
    readonly handle: FileHandle,
    readonly total: number,
    readonly startedAt: Moment,
    private updatedAt: Moment,
  ) {
    this.#dir = files.ingestDirectory(ref);
  }

  /** Begins a write, or goes on with one that is on disk; what is there is read again for its digest. */
  static async open(files: BlobFiles, ref: string, total: number): Promise<IngestFile> {
    const old = files.ingestStatus(ref);
    const known = Number(old?.total ?? 0);
    const resumes = old !== undefined && (total === 0 || known === 0 || total === known);
    if (!resumes) await begin(files, ref, total);
    const handle = await open(join(files.ingestDirectory(ref), 'data'), resumes ? 'r+' : 'w+', 0o666);
    const now = realtime();
    const file = new IngestFile(
      files,
      ref,
      handle,
      (resumes ? known : total) || total,
      resumes ? old.startedAt : now,
      resumes ? old.updatedAt : now,
    );
    try {
      await file.#readAgain();
    } catch (error) {
      await handle.close();
      throw error;
    }
    return file;
  }

  async #readAgain(): Promise<void> {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (;;) {
      const { bytesRead } = await this.handle.read(buffer, 0, CHUNK, this.#offset);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#offset += bytesRead;
    }
  }

  get offset(): number {
    return this.#offset;
  }

  /** Of what is written so far. */
  digest(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }

  status(): ContentStatus {
    return {
      ref: this.ref,
      offset: this.#offset,
      total: this.total,
      startedAt: this.startedAt,
      updatedAt: this.updatedAt,
    };
  }

  async write(data: Uint8Array): Promise<void> {
    let done = 0;
    while (done < data.length) {
      const { bytesWritten } = await this.handle.write(data, done, data.length - done, this.#offset);
      this.#hash.update(data.subarray(done, done + bytesWritten));
      done += bytesWritten;
      this.#offset += bytesWritten;
    }
    this.updatedAt = realtime();
  }

  /** Only to nothing: a digest cannot be taken back. */
  async truncate(size: number): Promise<void> {
    if (size !== 0) throw errdefs.unknown(`cannot cut ${this.ref} to ${size} bytes: a write can only begin anew`);
    await this.handle.truncate(0);
    this.#offset = 0;
    this.#hash = createHash('sha256');
  }

  /** Makes it a blob, unless there is one already, and ends the write. Its bytes are on disk before its name is. */
  async publish(): Promise<{ digest: string; size: number; existed: boolean }> {
    const digest = this.digest();
    try {
      await this.handle.sync();
    } finally {
      await this.handle.close();
    }
    const target = this.files.path(digest);
    const existed = statSync(target, { throwIfNoEntry: false }) !== undefined;
    if (!existed) {
      await this.#moveTo(target);
      await syncDirectory(dirname(target));
    }
    await this.files.removeIngest(this.ref)();
    return { digest, size: this.#offset, existed };
  }

  async #moveTo(target: string): Promise<void> {
    const data = join(this.#dir, 'data');
    try {
      await chmod(data, 0o444);
      await rename(data, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw errdefs.notFound(`the write of ${this.ref}, which was aborted meanwhile`, error);
      throw error;
    }
  }

  /** Lets go of it; it can be opened again. */
  async close(): Promise<void> {
    await this.handle.close();
    // It may have been aborted meanwhile.
    if (existsSync(this.#dir)) writeTime(join(this.#dir, 'updatedat'), this.updatedAt);
  }
}

/** In one step, so that nobody finds half of it; the remains of an older write go meanwhile. */
async function begin(files: BlobFiles, ref: string, total: number): Promise<void> {
  const removal = files.removeIngest(ref);
  const dir = files.ingestDirectory(ref);
  mkdirSync(dir, { mode: 0o755 });
  writeFileSync(join(dir, 'ref'), ref);
  const now = realtime();
  writeTime(join(dir, 'startedat'), now);
  writeTime(join(dir, 'updatedat'), now);
  if (total > 0) writeFileSync(join(dir, 'total'), String(total));
  await removal();
}

function writeTime(file: string, time: Moment): void {
  writeFileSync(`${file}.tmp`, formatTime(time));
  renameSync(`${file}.tmp`, file);
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
