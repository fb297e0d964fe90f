/** Layers of an image as snapshots, each on top of the one before. */
import { createHash, randomBytes } from 'node:crypto';
import { UNCOMPRESSED, type Config, type Descriptor, type Manifest } from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { quietly } from '../abort.js';
import { AlreadyExistsError, InvalidArgumentError, NotFoundError } from '../errors.js';
import { labelBlob, readJson, type Scope } from './content.js';
import type { Progress } from './types.js';

export const DEFAULT_SNAPSHOTTER = 'overlayfs';
const SNAPSHOT_REF = 'containerd.io/snapshot.ref';

/** Names of the snapshots of layers, from the lowest up. */
export function chainOf(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined ? diffId : `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`,
    );
  }
  return chain;
}

export interface Unpacking {
  readonly snapshotter: string;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Resolves when a layer's content is there; at once unless given. */
  readonly ready?: ((digest: string) => Promise<void>) | undefined;
}

/** @returns the name of the topmost snapshot */
export async function unpackLayers(
  scope: Scope,
  { config, layers }: Manifest,
  { snapshotter, onProgress, ready }: Unpacking,
): Promise<string> {
  const diffIds = (await readJson<Config>(scope, config.digest)).rootfs?.diff_ids ?? [];
  if (diffIds.length !== layers.length) {
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `image configuration ${config.digest} names ${diffIds.length} layers, its manifest ${layers.length}: invalid argument`,
    );
  }
  const chain = chainOf(diffIds);
  const top = chain.at(-1) ?? '';
  if (top === '' || (await isThere(scope, snapshotter, top))) return top;
  for (const [n, name] of chain.entries()) {
    await ready?.(layers[n]!.digest);
    await unpackLayer(scope, { layer: layers[n]!, diffId: diffIds[n]!, name, parent: chain[n - 1] ?? '' }, snapshotter);
    onProgress?.({ step: 'unpack', what: layers[n]!.digest, at: n + 1, total: chain.length });
  }
  // The collector keeps the snapshots for as long as the image is there.
  await labelBlob(scope, config.digest, { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: top });
  return top;
}

interface Layer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly name: string;
  readonly parent: string;
}

async function unpackLayer(scope: Scope, { layer, diffId, name, parent }: Layer, snapshotter: string): Promise<void> {
  if (await isThere(scope, snapshotter, name)) return;
  const { services, signal, lease } = scope;
  const key = `extract-${randomBytes(6).toString('hex')} ${name}`;
  const labels = { [SNAPSHOT_REF]: name };
  try {
    const { mounts } = await services.snapshots.Prepare({ snapshotter, key, parent, labels }, { signal, lease });
    const { applied } = await services.diff.Apply(
      { diff: { mediaType: layer.mediaType, digest: layer.digest, size: layer.size }, mounts },
      { signal, lease },
    );
    if (applied?.digest !== diffId)
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `layer ${layer.digest} has the content ${applied?.digest ?? ''}, and the image's configuration says ${diffId}: invalid argument`,
      );
    await services.snapshots.Commit({ snapshotter, name, key, labels }, { signal, lease });
  } catch (error) {
    await quietly(services.snapshots.Remove({ snapshotter, key }));
    // Somebody else has been quicker.
    if (!(error instanceof AlreadyExistsError)) throw error;
  }
  await labelBlob(scope, layer.digest, { [UNCOMPRESSED]: diffId });
}

async function isThere({ services, signal }: Scope, snapshotter: string, key: string): Promise<boolean> {
  try {
    await services.snapshots.Stat({ snapshotter, key }, { signal });
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}
