/** Images from registries. */
import {
  isIndex,
  suits,
  type Config,
  type Descriptor,
  type Index,
  type Manifest,
  type Platform,
} from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { Repository } from '../registry/repository.js';
import { readJson, type Scope } from './content.js';
import { download, type BlobSource } from './download.js';
import { indexLabels, manifestLabels } from './labels.js';
import { candidates, nothingFor } from './platform.js';
import { together } from './together.js';
import type { PullProgress } from './types.js';
import { unpackLayers } from './unpack.js';

export interface Pulling {
  readonly platform: Platform;
  /** A platform was asked for: an image for another one is not what is wanted. */
  readonly strict: boolean;
  /** Where to unpack it; undefined for not at all. */
  readonly snapshotter: string | undefined;
  readonly progress: ((progress: PullProgress) => void) | undefined;
}

/** Fetches all that an image has for a platform, and unpacks it. @returns what its name stands for */
export async function pullImage(scope: Scope, repository: Repository, pulling: Pulling): Promise<Descriptor> {
  const { name } = repository.reference;
  const { progress, platform } = pulling;
  progress?.({ step: 'resolve', what: name, at: 0, total: 1 });
  const target = await repository.resolve(scope.signal);
  progress?.({ step: 'resolve', what: target.digest, at: 1, total: 1 });
  let manifest = target;
  if (isIndex(target)) {
    const index = await document<Index>(scope, repository, target, indexLabels);
    const [chosen] = candidates(index, platform);
    if (chosen === undefined) throw nothingFor(name, platform, index.manifests);
    manifest = chosen;
  }
  await fetchManifest(scope, repository, manifest, pulling);
  return target;
}

/** A manifest or index: of the daemon, or else of the registry. It is marked to lead to what is fetched next before that is there. */
async function document<T>(
  scope: Scope,
  repository: Repository,
  descriptor: Descriptor,
  labelsOf: (document: T) => Record<string, string>,
): Promise<T> {
  let bytes: Buffer | undefined;
  const source: BlobSource = {
    reference: repository.reference,
    name: repository.name,
    blob: async function* (one, from, signal) {
      ({ bytes } = await repository.manifest(one, signal));
      yield bytes.subarray(from);
    },
    blame: () => false,
    servedBy: () => repository.reference.domain,
  };
  const read = (): Promise<T> =>
    bytes === undefined ? readJson<T>(scope, descriptor.digest) : Promise.resolve(JSON.parse(bytes.toString()) as T);
  await download(scope, source, descriptor, {
    ref: `${isIndex(descriptor) ? 'index' : 'manifest'}-${descriptor.digest}`,
    labels: async () => labelsOf(await read()),
  });
  return read();
}

async function fetchManifest(
  scope: Scope,
  repository: Repository,
  descriptor: Descriptor,
  { platform, strict, snapshotter, progress }: Pulling,
): Promise<void> {
  const manifest = await document<Manifest>(scope, repository, descriptor, manifestLabels);
  const { config, layers } = manifest;
  const blobs = new Map([config, ...layers].map((one) => [checked(one, repository).digest, one]));
  for (const { digest, size } of blobs.values()) progress?.({ step: 'fetch', what: digest, at: 0, total: size });
  await together(scope, async (own, enter) => {
    const coming = new Map(
      [...blobs.values()].map((blob) => [
        blob.digest,
        enter(() => fetchBlob(own, repository, blob, blob === config, progress)),
      ]),
    );
    const all = Promise.all(coming.values());
    const unpacked = (async () => {
      await coming.get(config.digest);
      if (strict) {
        const is = await readJson<Config>(own, config.digest);
        if (!suits(is, platform))
          throw nothingFor(repository.reference.name, platform, [{ ...descriptor, platform: is }]);
      }
      if (snapshotter === undefined) return;
      await unpackLayers(own, manifest, {
        snapshotter,
        ready: async (digest) => coming.get(digest),
        onProgress: ({ step, what, at, total }) => {
          if (step === 'unpack') progress?.({ step, what, at, total });
        },
      });
    })();
    await Promise.all([all, unpacked]);
  });
}

async function fetchBlob(
  scope: Scope,
  repository: Repository,
  blob: Descriptor,
  isConfig: boolean,
  progress: Pulling['progress'],
): Promise<void> {
  const { digest, size } = blob;
  await download(scope, repository, blob, {
    ref: `${isConfig ? 'config' : 'layer'}-${digest}`,
    onBytes: (at) => progress?.({ step: 'fetch', what: digest, at, total: size }),
  });
}

/** What a registry names is put into addresses. @throws InvalidArgumentError */
function checked(one: Descriptor | undefined, { reference }: Repository): Descriptor {
  if (/^sha256:[0-9a-f]{64}$/.test(one?.digest ?? '') && Number.isSafeInteger(one?.size) && one!.size >= 0) return one!;
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `the manifest of ${reference.name} names a part by ${JSON.stringify(one?.digest)}, which is no digest of a known kind: invalid argument`,
  );
}
