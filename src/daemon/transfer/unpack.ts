import { createHash, randomBytes } from 'node:crypto';
import { errdefs } from '../../api/full.js';
import type { Differ } from '../diff/types.js';
import { isAlreadyExists, isNotFound } from '../failures.js';
import type { Mount, Snapshotter } from '../snapshots/types.js';
import { UNCOMPRESSED, type Config, type Descriptor, type Documents } from './oci.js';

const TARGET = 'containerd.io/snapshot.ref';

/** Makes snapshots of a manifest's layers, unless they are there, and has its configuration refer to the topmost. */
export async function unpack(
  documents: Documents,
  manifest: Descriptor,
  snapshotter: Snapshotter,
  name: string,
  differ: Differ,
): Promise<void> {
  const { content, namespace } = documents;
  const [config, ...layers] = await documents.children(manifest);
  if (config === undefined) return;
  const diffIds = (await documents.read<Config>(config)).rootfs?.diff_ids ?? [];
  if (diffIds.length !== layers.length)
    throw errdefs.invalidArgument(
      `mismatched image rootfs and manifest layers: ${manifest.digest} has ${layers.length} layers, its configuration ${diffIds.length}`,
    );
  let parent = '';
  for (const [n, diffId] of diffIds.entries()) {
    const chain = parent === '' ? diffId : `sha256:${createHash('sha256').update(`${parent} ${diffId}`).digest('hex')}`;
    await unpackLayer(documents, { layer: layers[n]!, diffId, chain, parent }, snapshotter, differ);
    parent = chain;
  }
  const label = `containerd.io/gc.ref.snapshot.${name}`;
  await content.update(namespace, { digest: config.digest, labels: { [label]: parent } }, [`labels.${label}`]);
}

interface Layer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly chain: string;
  readonly parent: string;
}

async function unpackLayer(
  { content, namespace, lease }: Documents,
  { layer, diffId, chain, parent }: Layer,
  snapshotter: Snapshotter,
  differ: Differ,
): Promise<void> {
  const labels = { [TARGET]: chain };
  const key = `extract-${randomBytes(6).toString('hex')} ${chain}`;
  let mounts: Mount[];
  try {
    mounts = await snapshotter.prepare(namespace, key, parent, labels, lease);
  } catch (error) {
    // The layer is there: from this call on the lease keeps it.
    if (isAlreadyExists(error)) return;
    throw error;
  }
  try {
    const applied = await differ.apply(namespace, layer, mounts);
    if (applied.digest !== diffId)
      throw errdefs.invalidArgument(
        `wrong diff id ${applied.digest} calculated on extraction of ${layer.digest}, expected ${diffId}`,
      );
    await snapshotter.commit(namespace, chain, key, labels, lease);
  } catch (error) {
    await snapshotter.remove(namespace, key, lease).catch((failure: unknown) => {
      // Gone already, with its lease.
      if (!isNotFound(failure)) throw failure;
    });
    // Another import has been quicker.
    if (!isAlreadyExists(error)) throw error;
  }
  await content.update(namespace, { digest: layer.digest, labels: { [UNCOMPRESSED]: diffId } }, [
    `labels.${UNCOMPRESSED}`,
  ]);
}
