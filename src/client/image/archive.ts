/** Archives of images: OCI layouts, and what `docker save` writes. Their files become blobs as they are read. */
import { decompressed } from '../../oci/decompress.js';
import { IMAGE_NAME, normalize, REF_NAME } from '../../oci/image-name.js';
import {
  isIndex,
  isManifest,
  MediaType,
  type Config,
  type Descriptor,
  type Index,
  type Manifest,
} from '../../oci/image.js';
import { linkInArchive, nameInArchive } from '../../oci/archive-names.js';
import { TarReader } from '../../oci/tar-reader.js';
import { fromText, toBytes, type ByteString } from '../../sys/byte-string.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { manifestLabels } from './labels.js';
import { headOf, labelBlob, putBlob, readJson, type Blob, type Scope } from './content.js';
import type { Progress } from './types.js';

interface DockerImage {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** An image of an archive: its names, and the manifest or index that it is. */
export interface ArchivedImage {
  readonly names: readonly string[];
  readonly target: Descriptor;
}

const MAX_JSON = 20 << 20;

export async function importArchive(
  scope: Scope,
  chunks: AsyncIterable<Uint8Array>,
  onProgress?: (progress: Progress) => void,
): Promise<ArchivedImage[]> {
  const reader = new TarReader(decompressed(chunks));
  const blobs = new Map<ByteString, Blob>();
  const links = new Map<ByteString, ByteString>();
  let isLayout = false;
  let index: Index | undefined;
  let images: DockerImage[] | undefined;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const name = nameInArchive(entry.name);
    if (entry.type === 'symlink') links.set(name, linkInArchive(entry));
    // What tar makes of two files that are one: the first stands in front.
    const same = entry.type === 'link' ? blobs.get(nameInArchive(entry.linkname)) : undefined;
    if (same !== undefined) blobs.set(name, same);
    if (entry.type !== 'file') continue;
    if (name === 'oci-layout')
      isLayout = (await jsonOf<{ imageLayoutVersion?: string }>(reader, name)).imageLayoutVersion !== undefined;
    else if (name === 'index.json') index = await jsonOf<Index>(reader, name);
    else if (name === 'manifest.json') images = await jsonOf<DockerImage[]>(reader, name);
    else {
      blobs.set(
        name,
        await putBlob(scope, bodyOf(reader), {
          onBytes: (at) => onProgress?.({ step: 'read', what: toBytes(name).toString(), at, total: entry.size }),
        }),
      );
    }
  }
  await reader.drain();
  if (isLayout && index !== undefined) return layoutImages(scope, index);
  if (images === undefined) throw invalid('the archive is no image: it has neither an OCI layout nor a manifest.json');
  for (const [name, target] of links) {
    const found = blobs.get(target);
    if (found !== undefined) blobs.set(name, found);
  }
  return Promise.all(images.map((image) => dockerImage(scope, image, blobs)));
}

/** What a manifest or an index names has to be kept as long as it is: labels say so to the daemon's collector. */
async function layoutImages(scope: Scope, index: Index): Promise<ArchivedImage[]> {
  for (const target of index.manifests) await refer(scope, target);
  return index.manifests.map((target) => {
    const name = target.annotations?.[IMAGE_NAME] ?? target.annotations?.[REF_NAME];
    return { names: name === undefined ? [] : [normalize(name)], target };
  });
}

async function refer(scope: Scope, target: Descriptor): Promise<void> {
  if (isIndex(target)) {
    const { manifests } = await readJson<Index>(scope, target.digest);
    const there: [string, Descriptor][] = [];
    for (const [n, one] of manifests.entries()) {
      // An archive need not have the manifests of all platforms.
      try {
        await refer(scope, one);
        there.push([`containerd.io/gc.ref.content.m.${n}`, one]);
      } catch (error) {
        if ((error as { code?: unknown }).code !== Code.NotFound) throw error;
      }
    }
    await labelBlob(scope, target.digest, Object.fromEntries(there.map(([label, { digest }]) => [label, digest])));
  } else if (isManifest(target)) {
    const { config, layers } = await readJson<Manifest>(scope, target.digest);
    await labelBlob(scope, target.digest, manifestLabels({ config, layers }));
  }
}

async function dockerImage(
  scope: Scope,
  { Config: file, RepoTags, Layers }: DockerImage,
  blobs: ReadonlyMap<ByteString, Blob>,
): Promise<ArchivedImage> {
  const blobOf = (name: string): Blob => {
    const blob = blobs.get(nameInArchive(fromText(name)));
    if (blob === undefined)
      throw invalid(`manifest.json of the archive names ${name}, which the archive does not have`);
    return blob;
  };
  const config: Descriptor = { mediaType: MediaType.DockerConfig, ...blobOf(file) };
  const layers: Descriptor[] = [];
  for (const layer of Layers)
    layers.push({ ...blobOf(layer), mediaType: `${MediaType.DockerLayer}${await compression(scope, blobOf(layer))}` });
  const { os, architecture, variant } = await readJson<Config>(scope, config.digest);
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MediaType.DockerManifest, config, layers }),
  );
  const blob = await putBlob(scope, [manifest], { labels: manifestLabels({ config, layers }) });
  await labelBlob(scope, blob.digest, manifestLabels({ config, layers }));
  const platform = os && architecture ? { platform: { os, architecture, ...(variant ? { variant } : {}) } } : {};
  return {
    names: (RepoTags ?? []).map(normalize),
    target: { mediaType: MediaType.DockerManifest, ...blob, ...platform },
  };
}

async function compression(scope: Scope, { digest }: Blob): Promise<string> {
  const head = await headOf(scope, digest, 4);
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return '.gzip';
  return head.length === 4 && head.readUInt32LE(0) === 0xfd2fb528 ? '.zstd' : '';
}

async function* bodyOf(reader: TarReader): AsyncGenerator<Uint8Array> {
  for (let piece = await reader.body(); piece !== undefined; piece = await reader.body()) yield piece;
}

async function jsonOf<T>(reader: TarReader, name: string): Promise<T> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bodyOf(reader)) {
    // The reader's own memory, which the next piece overwrites.
    pieces.push(Buffer.from(piece));
    if ((length += piece.length) > MAX_JSON) throw invalid(`${name} of the archive is too long`);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString()) as T;
  } catch (error) {
    throw invalid(`${name} of the archive is no JSON: ${(error as Error).message}`);
  }
}

function invalid(text: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`);
}
