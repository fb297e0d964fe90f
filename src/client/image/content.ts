/** Blobs of the daemon's content store. */
import { randomBytes } from 'node:crypto';
import { containerd } from '../../api/full.js';
import { Code } from '../../ttrpc/status.js';
import { AlreadyExistsError, InvalidArgumentError, NotFoundError } from '../errors.js';
import type { Services } from '../grpc/services.js';

const { WriteAction } = containerd.services.content.v1;
/** A message of the stream; the daemon takes up to 16 MiB. */
const CHUNK = 1 << 20;
const MAX_DOCUMENT = 8 << 20;

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

export interface Scope {
  readonly services: Services;
  readonly signal: AbortSignal | undefined;
  readonly lease: string | undefined;
}

/** A write that is begun, or goes on where an earlier one has ended. The daemon keeps what it has by the reference. */
export class BlobWriter {
  private constructor(
    private readonly stream: ReturnType<Services['content']['Write']>,
    readonly ref: string,
    readonly blob: Blob,
    /** So many bytes are there. */
    private position: number,
  ) {}

  /** @throws AlreadyExistsError when the blob is there, which the lease then keeps; UnavailableError when another client writes it */
  static async open({ services, signal, lease }: Scope, ref: string, blob: Blob): Promise<BlobWriter> {
    const stream = services.content.Write({ signal, lease });
    try {
      await stream.send({ action: WriteAction.STAT, ref, total: blob.size, expected: blob.digest });
      return new BlobWriter(stream, ref, blob, Number((await reply(stream)).offset));
    } catch (error) {
      stream.cancel();
      throw error;
    }
  }

  get at(): number {
    return this.position;
  }

  /** Appends. A write at 0 takes the place of what is there. */
  async write(data: Uint8Array): Promise<void> {
    await this.stream.send({ action: WriteAction.WRITE, ref: this.ref, offset: this.position, data });
    await reply(this.stream);
    this.position += data.length;
  }

  /** Makes it a blob. @throws FailedPreconditionError when it has another digest; AlreadyExistsError */
  async commit(labels: Record<string, string>): Promise<void> {
    const { size, digest } = this.blob;
    await this.stream.send({
      action: WriteAction.COMMIT,
      ref: this.ref,
      offset: this.position,
      total: size,
      expected: digest,
      labels,
    });
    await reply(this.stream);
    this.stream.finish();
  }

  /** Lets go of it. What is written stays, for whoever goes on. */
  close(): void {
    this.stream.cancel();
  }
}

export interface PutOptions {
  readonly labels?: Record<string, string>;
  /** Bytes written so far. */
  readonly onBytes?: (bytes: number) => void;
}

/** Writes a blob. One that is there already is left, and kept by the lease. */
export async function putBlob(
  { services, signal, lease }: Scope,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { labels = {}, onBytes }: PutOptions = {},
): Promise<Blob> {
  const ref = `hawser-${randomBytes(8).toString('hex')}`;
  const stream = services.content.Write({ signal, lease });
  let offset = 0;
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += CHUNK) {
        const data = chunk.subarray(at, at + CHUNK);
        await stream.send({ action: WriteAction.WRITE, ref, offset, data });
        await reply(stream);
        offset += data.length;
        onBytes?.(offset);
      }
    }
    await stream.send({ action: WriteAction.COMMIT, ref, offset, total: offset, labels });
    const { digest } = await reply(stream);
    return { digest, size: offset };
  } catch (error) {
    stream.cancel();
    if (error instanceof AlreadyExistsError) {
      const digest = /sha256:[0-9a-f]{64}/.exec(error.message)?.[0];
      if (digest !== undefined) return { digest, size: offset };
    }
    // What was begun is of no use to anybody.
    await services.content.Abort({ ref }).catch(() => undefined);
    throw error;
  } finally {
    stream.finish();
  }
}

/** A document that is small enough to be read as a whole. */
export async function readJson<T>(
  { services, signal }: Pick<Scope, 'services' | 'signal'>,
  digest: string,
): Promise<T> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const { data } of services.content.Read({ digest }, { signal })) {
    if ((length += data.length) > MAX_DOCUMENT)
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `${digest} is too long for a manifest or configuration: invalid argument`,
      );
    chunks.push(data);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as T;
  } catch (error) {
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `${digest} is no JSON: ${(error as Error).message}: invalid argument`,
      { cause: error },
    );
  }
}

/** The bytes of a blob. @throws NotFoundError */
export async function* readBlob(
  { services, signal }: Pick<Scope, 'services' | 'signal'>,
  digest: string,
): AsyncGenerator<Uint8Array> {
  for await (const { data } of services.content.Read({ digest }, { signal })) yield data;
}

/** Whether a blob is there. */
export async function has({ services, signal }: Pick<Scope, 'services' | 'signal'>, digest: string): Promise<boolean> {
  try {
    await services.content.Info({ digest }, { signal });
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** The first bytes of a blob. */
export async function headOf({ services, signal }: Scope, digest: string, size: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of services.content.Read({ digest, size }, { signal })) chunks.push(data);
  return Buffer.concat(chunks).subarray(0, size);
}

/** Sets labels of a blob. */
export async function labelBlob(
  { services, signal, lease }: Scope,
  digest: string,
  labels: Record<string, string>,
): Promise<void> {
  if (Object.keys(labels).length === 0) return;
  await services.content.Update(
    { info: { digest, labels }, updateMask: { paths: Object.keys(labels).map((name) => `labels.${name}`) } },
    { signal, lease },
  );
}

async function reply<T>(stream: AsyncIterator<T>): Promise<T> {
  const next = await stream.next();
  if (next.done === true)
    throw new InvalidArgumentError(Code.Aborted, 'the daemon has ended the writing of a blob: aborted');
  return next.value;
}
