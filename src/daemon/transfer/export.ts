/** Images into an archive: an OCI layout with Docker's manifest beside it. */
import type { containerd } from '../../api/full.js';
import { encodeHeader, END, padding } from '../../oci/tar-writer.js';
import { fromText } from '../../sys/byte-string.js';
import type { Image } from './stores.js';
import { IMAGE_NAME, REF_NAME, tagOf } from './names.js';
import {
  isIndex,
  isManifest,
  MediaType,
  ownPlatform,
  platformFrom,
  suits,
  type Descriptor,
  type Documents,
} from './oci.js';

const CHUNK = 256 << 10;
const FOREIGN = /foreign|nondistributable/;

export type ExportOptions = Pick<
  containerd.types.transfer.ImageExportStream.$Properties,
  'platforms' | 'allPlatforms' | 'skipDockerManifest' | 'skipNonDistributable'
>;

export async function* exportImages(
  documents: Documents,
  images: readonly Image[],
  options: ExportOptions,
): AsyncGenerator<Buffer> {
  const blobs = new Map<string, Descriptor>();
  const docker = new Map<string, { Config: string; RepoTags: string[]; Layers: string[] }>();
  const manifests: Descriptor[] = [];
  for (const { name: given, target } of images) {
    const name = given ?? '';
    const top: Descriptor = {
      mediaType: target?.mediaType ?? '',
      digest: target?.digest ?? '',
      size: Number(target?.size ?? 0),
      annotations: { ...target?.annotations, [IMAGE_NAME]: name, [REF_NAME]: tagOf(name) },
    };
    manifests.push(top);
    const chosen = await gather(documents, top, options, blobs);
    // Docker's manifest knows one platform.
    const own = (
      await Promise.all(
        chosen.map(async (one) => ({
          one,
          fits: suits(await documents.platformOf(one), platformFrom(options.platforms?.[0])),
        })),
      )
    ).find(({ fits }) => fits)?.one;
    if (own === undefined || options.skipDockerManifest) continue;
    const [config, ...layers] = await documents.children(own);
    const entry = docker.get(own.digest) ?? { Config: pathOf(config!), RepoTags: [], Layers: layers.map(pathOf) };
    entry.RepoTags.push(name);
    docker.set(own.digest, entry);
  }
  yield* directory('blobs/');
  yield* directory('blobs/sha256/');
  for (const blob of [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1)))
    yield* blobEntry(documents, blob);
  yield* file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: MediaType.Index, manifests }));
  if (!options.skipDockerManifest) yield* file('manifest.json', JSON.stringify([...docker.values()]));
  yield* file('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  yield END;
}

/** Takes in what an image leads to, and gives the manifests among it. */
async function gather(
  documents: Documents,
  one: Descriptor,
  options: ExportOptions,
  blobs: Map<string, Descriptor>,
): Promise<Descriptor[]> {
  blobs.set(one.digest, one);
  const children = await documents.children(one);
  if (!isIndex(one)) {
    for (const child of children)
      if (!(options.skipNonDistributable && FOREIGN.test(child.mediaType))) blobs.set(child.digest, child);
    return isManifest(one) ? [one] : [];
  }
  const wanted = options.platforms?.length ? options.platforms.map(platformFrom) : [ownPlatform()];
  const found = [];
  for (const child of children) {
    const { platform } = child;
    if (!options.allPlatforms && platform !== undefined && !wanted.some((want) => suits(platform, want))) continue;
    found.push(...(await gather(documents, child, options, blobs)));
  }
  return found;
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${digest.replace(':', '/')}`;
}

async function* blobEntry(documents: Documents, one: Descriptor): AsyncGenerator<Buffer> {
  const blob = await documents.content.open(documents.namespace, one.digest);
  try {
    yield header(pathOf(one), blob.size);
    for (let at = 0; at < blob.size; at += CHUNK) yield Buffer.from(await blob.read(at, CHUNK));
    yield padding(blob.size);
  } finally {
    await blob.close();
  }
}

function* file(name: string, text: string): Generator<Buffer> {
  const data = Buffer.from(text);
  yield header(name, data.length);
  yield data;
  yield padding(data.length);
}

function* directory(name: string): Generator<Buffer> {
  yield encodeHeader({
    name: fromText(name),
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    modified: { seconds: 0, nanos: 0 },
  });
}

function header(name: string, size: number): Buffer {
  return encodeHeader({
    name: fromText(name),
    type: 'file',
    mode: 0o444,
    uid: 0,
    gid: 0,
    size,
    modified: { seconds: 0, nanos: 0 },
  });
}
