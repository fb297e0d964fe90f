/** Images to registries. */
import { isIndex, isManifest, type Descriptor, type Index, type Manifest, type Platform } from '../../oci/image.js';
import { NotFoundError } from '../errors.js';
import type { Repository } from '../registry/repository.js';
import { referent } from '../registry/reference.js';
import type { Uploader } from '../registry/upload.js';
import { has, labelBlob, readBlob, readJson, type Scope } from './content.js';
import { sourceLabel, withSource } from './labels.js';
import { candidates, nothingFor } from './platform.js';
import { together } from './together.js';
import type { PushProgress } from './types.js';

export interface Pushing {
  /** Only what the image has for this one. */
  readonly platform: Platform | undefined;
  /** For an index of which not all is here. */
  readonly own: Platform;
  readonly progress: ((progress: PushProgress) => void) | undefined;
}

/**
 * Sends an image: its blobs first, then its manifests, the one with the tag last. Of an index of which the daemon has only a part, as after
 * a pull, the manifest for one platform goes.
 *
 * @returns what the name stands for at the registry
 */
export async function pushImage(
  scope: Scope,
  repository: Repository,
  target: Descriptor,
  pushing: Pushing,
): Promise<Descriptor> {
  const uploader = repository.uploader(scope.signal);
  const chosen = await chosenOf(scope, repository, target, pushing);
  const manifests = isIndex(chosen) ? (await readJson<Index>(scope, chosen.digest)).manifests : [chosen];
  const blobs = new Map<string, Descriptor>();
  for (const one of manifests.filter(isManifest)) {
    const { config, layers } = await readJson<Manifest>(scope, one.digest);
    for (const part of [config, ...layers]) blobs.set(part.digest, part);
  }
  for (const { digest, size } of blobs.values()) pushing.progress?.({ step: 'push', what: digest, at: 0, total: size });
  await together(scope, async (own, enter) => {
    await Promise.all(
      [...blobs.values()].map((blob) => enter(() => pushBlob(own, repository, uploader, blob, pushing))),
    );
  });
  for (const one of isIndex(chosen) ? manifests : [])
    await uploader.manifest(one, await bytesOf(scope, one), one.digest);
  await uploader.manifest(chosen, await bytesOf(scope, chosen), referent(repository.reference));
  pushing.progress?.({ step: 'done', what: repository.reference.name, at: 1, total: 1 });
  return chosen;
}

/** The index when all of it is here, or else a manifest of it. */
async function chosenOf(
  scope: Scope,
  repository: Repository,
  target: Descriptor,
  { platform, own }: Pushing,
): Promise<Descriptor> {
  if (!isIndex(target)) return target;
  const index = await readJson<Index>(scope, target.digest);
  if (platform === undefined && (await isWhole(scope, index))) return target;
  for (const one of candidates(index, platform ?? own)) if (await has(scope, one.digest)) return one;
  throw nothingFor(repository.reference.name, platform ?? own, index.manifests);
}

async function isWhole(scope: Scope, { manifests }: Index): Promise<boolean> {
  try {
    for (const one of manifests) {
      if (!isManifest(one)) return false;
      const { config, layers } = await readJson<Manifest>(scope, one.digest);
      for (const { digest } of [config, ...layers]) if (!(await has(scope, digest))) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

async function pushBlob(
  scope: Scope,
  { reference }: Repository,
  uploader: Uploader,
  blob: Descriptor,
  { progress }: Pushing,
): Promise<void> {
  const { digest, size } = blob;
  const source = sourceLabel(reference.domain);
  const { info } = await scope.services.content.Info({ digest }, { signal: scope.signal });
  const known = info?.labels?.[source];
  await uploader.blob({
    descriptor: blob,
    bytes: () => readBlob(scope, digest),
    sources: (known ?? '').split(',').filter((path) => path !== '' && path !== reference.path),
    onBytes: (at) => progress?.({ step: 'push', what: digest, at, total: size }),
  });
  progress?.({ step: 'push', what: digest, at: size, total: size });
  // The next repository of this registry can have it from this one.
  await labelBlob(scope, digest, { [source]: withSource(known, reference.path) });
}

async function bytesOf(scope: Scope, { digest }: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readBlob(scope, digest)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
