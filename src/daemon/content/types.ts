import type { containerd } from '../../api/full.js';

export type ContentInfo = containerd.services.content.v1.Info.$Properties;
export type ContentStatus = containerd.services.content.v1.Status.$Properties;

/** A blob that is open; to be closed. */
export interface Blob {
  readonly size: number;
  /** Bytes from an offset on, at most `length` of them; fewer at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A write under way, by its reference; it is on disk and goes on after a restart. */
export interface Ingest {
  status(): ContentStatus;
  /** Of what is written so far. */
  digest(): string;
  write(data: Uint8Array): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Makes it a blob. AlreadyExists when there is one; FailedPrecondition when size or digest are not as expected. Gives the digest. */
  commit(size: number, expected: string, labels: Record<string, string>): Promise<string>;
  /** Lets go of the reference without an end: it may be opened again. */
  close(): Promise<void>;
}

/** Content of each namespace by digest (`sha256:…`). A lease, where one is given, keeps what is made under it. */
export interface ContentStore {
  info(namespace: string, digest: string): ContentInfo;
  list(namespace: string, filters: readonly string[]): ContentInfo[];
  update(namespace: string, info: ContentInfo, paths: readonly string[]): Promise<ContentInfo>;
  delete(namespace: string, digest: string, lease?: string): Promise<void>;
  /** Has a lease keep a blob, in the step that looks for it. False when it is not there. */
  keep(namespace: string, digest: string, lease?: string): Promise<boolean>;
  open(namespace: string, digest: string): Promise<Blob>;
  /** Opens or resumes a write; Unavailable while another holds the reference; AlreadyExists when `expected` is there. */
  ingest(
    namespace: string,
    ref: string,
    options: { total?: number; expected?: string; lease?: string | undefined },
  ): Promise<Ingest>;
  statuses(namespace: string, filters: readonly string[]): ContentStatus[];
  status(namespace: string, ref: string): ContentStatus;
  abort(namespace: string, ref: string, lease?: string): Promise<void>;
  /** Writes a whole blob; one that is there already is fine. */
  put(
    namespace: string,
    ref: string,
    data: Uint8Array | AsyncIterable<Uint8Array>,
    options?: { expected?: string; labels?: Record<string, string>; lease?: string | undefined },
  ): Promise<{ digest: string; size: number }>;
}
