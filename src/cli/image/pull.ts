/** Has an image fetched, and shows how far that has come. */
import type { Image } from '../../client/index.js';
import { CliError, oneLine, textOf } from '../errors.js';
import { TransferProgress } from '../output/transfer-progress.js';
import type { Session } from '../session.js';

export interface PullFlags {
  readonly quiet?: boolean;
  readonly platform?: string;
  readonly unpack?: boolean;
  readonly snapshotter?: string;
  readonly hostsDir?: string;
}

interface Pulling {
  readonly signal?: AbortSignal | undefined;
  /** The exit status when it fails; 1 unless given. */
  readonly exitCode?: number;
}

/** @throws CliError that names the image */
export async function pull(
  { client }: Session,
  reference: string,
  { quiet = false, platform, unpack, snapshotter, hostsDir }: PullFlags,
  { signal, exitCode = 1 }: Pulling = {},
): Promise<Image> {
  const { AbortError } = await import('../../client/index.js');
  const progress = new TransferProgress(reference, 'pulling', !quiet);
  try {
    return await client.images.pull(reference, {
      signal,
      platform,
      unpack,
      snapshotter,
      hostsDir,
      progress: progress.update,
    });
  } catch (error) {
    if (error instanceof AbortError || error instanceof TypeError) throw error;
    throw new CliError(`image ${reference} cannot be pulled: ${oneLine(textOf(error))}`, exitCode, { cause: error });
  } finally {
    progress.end();
  }
}
