/** Blobs of a registry into the daemon's content store. */
import type { Descriptor } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { pause } from '../abort.js';
import { AlreadyExistsError, FailedPreconditionError, NotFoundError, UnavailableError } from '../errors.js';
import { failure } from '../registry/failure.js';
import type { Repository } from '../registry/repository.js';
import { BlobWriter, labelBlob, type Scope } from './content.js';
import { sourceLabel, withSource } from './labels.js';

/** So much is gathered before the daemon is given it. */
const BATCH = 256 << 10;
/** How often it is looked how far another client is that writes the same. */
const LOOK_MS = 100;

/** Where blobs come from: a repository, or what takes its place for some. */
export type BlobSource = Pick<Repository, 'reference' | 'name' | 'blob' | 'blame' | 'servedBy'>;

export interface Downloading {
  /** How the daemon calls the write: the same as containerd's own client, so that each goes on with what the other has left. */
  readonly ref: string;
  /** Asked for when it is here. */
  readonly labels?: () => Promise<Record<string, string>>;
  /** So many bytes are here. */
  readonly onBytes?: ((at: number) => void) | undefined;
}

/**
 * Fetches a blob, unless the daemon has it, from where an earlier try has ended. Its digest is verified by the daemon when it is whole.
 *
 * @throws ClientError with the code DataLoss when the registry gives something else
 */
export async function download(
  scope: Scope,
  repository: BlobSource,
  blob: Descriptor,
  { ref, labels = () => Promise.resolve({}), onBytes }: Downloading,
): Promise<void> {
  const source = sourceLabel(repository.reference.domain);
  const { path } = repository.reference;
  for (;;) {
    const writer = await opened(scope, ref, blob, onBytes);
    if (writer === undefined) break;
    const resumed = writer.at > 0;
    try {
      for await (const batch of batches(repository.blob(blob, writer.at, scope.signal), writer.at, onBytes))
        await writer.write(batch);
      await writer.commit({ ...(await labels()), [source]: path });
      return;
    } catch (error) {
      writer.close();
      if (error instanceof AlreadyExistsError) break;
      if (!(error instanceof FailedPreconditionError)) throw error;
      // Nothing can be made of it any more.
      await discard(scope, ref);
      // What an earlier try has left may have been the wrong part.
      if (!resumed && !repository.blame(blob.digest))
        throw failure(
          `${blob.digest} of ${repository.name}: what ${repository.servedBy(blob.digest)} gives for it is something else (${error.message})`,
          { code: Code.DataLoss, cause: error },
        );
    }
  }
  onBytes?.(blob.size);
  await relabel(scope, blob.digest, await labels(), source, path);
}

/** Undefined when the blob is there. Waits while another client writes it. */
async function opened(
  scope: Scope,
  ref: string,
  blob: Descriptor,
  onBytes: Downloading['onBytes'],
): Promise<BlobWriter | undefined> {
  for (;;) {
    try {
      return await BlobWriter.open(scope, ref, blob);
    } catch (error) {
      if (error instanceof AlreadyExistsError) return undefined;
      if (!(error instanceof UnavailableError) || !error.message.includes('locked')) throw error;
    }
    await pause(LOOK_MS, scope.signal);
    try {
      const { status } = await scope.services.content.Status({ ref }, { signal: scope.signal });
      onBytes?.(Number(status?.offset ?? 0));
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
}

async function discard({ services, lease }: Scope, ref: string): Promise<void> {
  try {
    await services.content.Abort({ ref }, { lease });
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

/** Larger pieces, as each is waited for. What has come before a failure is given before that is told. */
async function* batches(
  chunks: AsyncIterable<Uint8Array>,
  from: number,
  onBytes: Downloading['onBytes'],
): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let [length, at] = [0, from];
  const take = (): Buffer => {
    const batch = Buffer.concat(gathered);
    [gathered, length] = [[], 0];
    return batch;
  };
  try {
    for await (const chunk of chunks) {
      gathered.push(chunk);
      length += chunk.length;
      onBytes?.((at += chunk.length));
      if (length >= BATCH) yield take();
    }
  } catch (error) {
    if (length > 0) yield take();
    throw error;
  }
  if (length > 0) yield take();
}

/** Of a blob that was there: it may be from elsewhere, and lead nowhere yet. */
async function relabel(
  scope: Scope,
  digest: string,
  labels: Record<string, string>,
  source: string,
  path: string,
): Promise<void> {
  const { info } = await scope.services.content.Info({ digest }, { signal: scope.signal });
  const there = info?.labels ?? {};
  const wanted = { ...labels, [source]: withSource(there[source], path) };
  await labelBlob(
    scope,
    digest,
    Object.fromEntries(Object.entries(wanted).filter(([name, value]) => there[name] !== value)),
  );
}
