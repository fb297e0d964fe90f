/** Images into an archive: an OCI layout with docker's manifest.json beside it, as `docker save` writes. */
import { IMAGE_NAME, REF_NAME, tagOf } from '../../oci/image-name.js';
import { isIndex, MediaType, type Descriptor, type Index, type Manifest, type Platform } from '../../oci/image.js';
import { encodeHeader, END, padding } from '../../oci/tar-writer.js';
import { fromText } from '../../sys/byte-string.js';
import { has, readBlob, readJson, type Scope } from './content.js';
import { candidates, nothingFor } from './platform.js';
import type { Image } from './types.js';

type Reading = Pick<Scope, 'services' | 'signal'>;

interface DockerImage {
  readonly Config: string;
  readonly RepoTags: string[];
  readonly Layers: readonly string[];
}

/** The archive's bytes. Of an index goes what it has for a platform. @throws NotFoundError when it has nothing */
export async function* saveImages(
  scope: Reading,
  images: readonly Image[],
  want: Platform,
): AsyncGenerator<Uint8Array> {
  const blobs = new Map<string, Descriptor>();
  const docker = new Map<string, DockerImage>();
  const manifests: Descriptor[] = [];
  for (const { name, target } of images) {
    manifests.push({ ...target, annotations: { [IMAGE_NAME]: name, [REF_NAME]: tagOf(name) } });
    blobs.set(target.digest, target);
    const manifest = await chosenOf(scope, name, target, want);
    const { config, layers } = await readJson<Manifest>(scope, manifest.digest);
    for (const one of [manifest, config, ...layers]) blobs.set(one.digest, one);
    const entry = docker.get(manifest.digest) ?? {
      Config: pathOf(config),
      RepoTags: [],
      Layers: layers.map(pathOf),
    };
    if (!name.includes('@')) entry.RepoTags.push(name);
    docker.set(manifest.digest, entry);
  }
  for (const directory of ['blobs/', 'blobs/sha256/']) yield header(directory, 0, 'directory');
  for (const blob of [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))) {
    yield header(pathOf(blob), blob.size);
    yield* readBlob(scope, blob.digest);
    yield padding(blob.size);
  }
  yield* file('index.json', { schemaVersion: 2, mediaType: MediaType.Index, manifests });
  yield* file('manifest.json', [...docker.values()]);
  yield* file('oci-layout', { imageLayoutVersion: '1.0.0' });
  yield END;
}

async function chosenOf(scope: Reading, name: string, target: Descriptor, want: Platform): Promise<Descriptor> {
  if (!isIndex(target)) return target;
  const index = await readJson<Index>(scope, target.digest);
  for (const one of candidates(index, want)) if (await has(scope, one.digest)) return one;
  throw nothingFor(name, want, index.manifests);
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function* file(name: string, document: object): Generator<Uint8Array> {
  const data = Buffer.from(JSON.stringify(document));
  yield header(name, data.length);
  yield data;
  yield padding(data.length);
}

function header(name: string, size: number, type: 'file' | 'directory' = 'file'): Buffer {
  const mode = type === 'file' ? 0o444 : 0o755;
  return encodeHeader({ name: fromText(name), type, mode, uid: 0, gid: 0, size, modified: { seconds: 0, nanos: 0 } });
}
