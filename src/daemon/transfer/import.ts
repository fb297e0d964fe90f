/** Archives of images into content: OCI layouts, and what `docker save` writes. */
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { errdefs } from '../../api/full.js';
import { decompressed } from '../../oci/decompress.js';
import { linkInArchive, nameInArchive } from '../../oci/archive-names.js';
import { TarReader } from '../../oci/tar-reader.js';
import { fromText, shown, type ByteString } from '../../sys/byte-string.js';
import { IMAGE_NAME, normalize, REF_NAME, tagOf } from './names.js';
import { MediaType, UNCOMPRESSED, type Config, type Descriptor, type Documents } from './oci.js';

interface DockerImage {
  readonly Config: string;
  readonly RepoTags?: string[] | null;
  readonly Layers: string[];
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Of a layout or manifest file. */
const MAX_JSON = 20 << 20;
const CHUNK = 1 << 20;

/** Stores what an archive has, and gives its index: its own, or one made from Docker's manifest. */
export async function importArchive(
  documents: Documents,
  chunks: AsyncIterable<Uint8Array>,
  compress: boolean,
): Promise<Descriptor> {
  const { content, namespace, lease, id } = documents;
  const reader = new TarReader(decompressed(chunks));
  const blobs = new Map<ByteString, Blob>();
  const links = new Map<ByteString, ByteString>();
  let layout: { imageLayoutVersion?: string } | undefined;
  let images: DockerImage[] | undefined;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const name = nameInArchive(entry.name);
    if (entry.type === 'symlink') links.set(name, linkInArchive(entry));
    // What tar makes of two files that are one: the first stands in front.
    const same = entry.type === 'link' ? blobs.get(nameInArchive(entry.linkname)) : undefined;
    if (same !== undefined) blobs.set(name, same);
    if (entry.type !== 'file') continue;
    if (name === 'oci-layout') layout = await readJson(reader, name);
    else if (name === 'manifest.json') images = await readJson(reader, name);
    else blobs.set(name, await content.put(namespace, `${id}-tar-${shown(name)}`, bodyOf(reader), { lease }));
  }
  await reader.drain();
  if (layout?.imageLayoutVersion !== undefined) {
    if (layout.imageLayoutVersion !== '1.0.0')
      throw errdefs.invalidArgument(`unsupported OCI version ${layout.imageLayoutVersion}`);
    const index = blobs.get(fromText('index.json'));
    if (index === undefined) throw errdefs.invalidArgument('missing index.json in OCI layout 1.0.0');
    return { mediaType: MediaType.Index, digest: index.digest, size: index.size };
  }
  if (images === undefined)
    throw errdefs.invalidArgument('unrecognized image format: the archive has neither oci-layout nor manifest.json');
  for (const [name, target] of links) {
    const found = blobs.get(target);
    if (found === undefined)
      throw errdefs.invalidArgument(`no target for symlink layer from ${shown(name)} to ${shown(target)}`);
    blobs.set(name, found);
  }
  const manifests: Descriptor[] = [];
  for (const image of images) manifests.push(...(await dockerImage(documents, image, blobs, compress)));
  return documents.write({ schemaVersion: 2, mediaType: MediaType.Index, manifests }, MediaType.Index);
}

/** One image of Docker's manifest, once for each of its names. */
async function dockerImage(
  documents: Documents,
  image: DockerImage,
  blobs: ReadonlyMap<ByteString, Blob>,
  compress: boolean,
): Promise<Descriptor[]> {
  const config = blobs.get(nameInArchive(fromText(image.Config)));
  if (config === undefined) throw errdefs.invalidArgument(`image config ${JSON.stringify(image.Config)} not found`);
  const layers: Descriptor[] = [];
  for (const file of image.Layers) {
    const blob = blobs.get(nameInArchive(fromText(file)));
    if (blob === undefined) throw errdefs.invalidArgument(`layer ${JSON.stringify(file)} not found`);
    layers.push(await layerOf(documents, blob, compress));
  }
  const manifest = await documents.write(
    {
      schemaVersion: 2,
      mediaType: MediaType.DockerManifest,
      config: { mediaType: MediaType.DockerConfig, digest: config.digest, size: config.size },
      layers,
    },
    MediaType.DockerManifest,
  );
  const { os, architecture, variant } = await documents.read<Config>(config);
  const platform = os && architecture ? { platform: { architecture, os, ...(variant ? { variant } : {}) } } : {};
  const names = (image.RepoTags ?? []).map(normalize);
  if (names.length === 0) return [{ ...manifest, ...platform }];
  return names.map((name) => ({
    ...manifest,
    ...platform,
    annotations: { [IMAGE_NAME]: name, [REF_NAME]: tagOf(name) },
  }));
}

async function layerOf(documents: Documents, { digest, size }: Blob, compress: boolean): Promise<Descriptor> {
  const { content, namespace, lease, id } = documents;
  // One that was compressed by an earlier import serves as well, unless it is gone before the lease keeps it.
  for (const known of content.list(namespace, [`labels."${UNCOMPRESSED}"==${digest}`])) {
    if (known.digest === digest || !(await content.keep(namespace, known.digest!, lease))) continue;
    return { mediaType: `${MediaType.DockerLayer}.gzip`, digest: known.digest!, size: Number(known.size ?? 0) };
  }
  const blob = await content.open(namespace, digest);
  try {
    const head = await blob.read(0, 4);
    const gzipped = head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;
    const zstd = head.length === 4 && Buffer.from(head).readUInt32LE(0) === 0xfd2fb528;
    if (gzipped || zstd) return { mediaType: `${MediaType.DockerLayer}.${gzipped ? 'gzip' : 'zstd'}`, digest, size };
    if (!compress) return { mediaType: MediaType.DockerLayer, digest, size };
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < blob.size; at += CHUNK) yield await blob.read(at, CHUNK);
    };
    const made = await content.put(
      namespace,
      `${id}-compress-blob-${digest}`,
      Readable.from(chunks(), { objectMode: false }).pipe(createGzip()) as AsyncIterable<Uint8Array>,
      {
        labels: { [UNCOMPRESSED]: digest },
        lease,
      },
    );
    return { mediaType: `${MediaType.DockerLayer}.gzip`, ...made };
  } finally {
    await blob.close();
  }
}

async function* bodyOf(reader: TarReader): AsyncGenerator<Uint8Array> {
  for (let piece = await reader.body(); piece !== undefined; piece = await reader.body()) yield piece;
}

async function readJson<T>(reader: TarReader, name: string): Promise<T> {
  const pieces = [];
  let length = 0;
  for await (const piece of bodyOf(reader)) {
    pieces.push(Buffer.from(piece));
    if ((length += piece.length) > MAX_JSON) throw errdefs.invalidArgument(`${name} of the archive is too long`);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString()) as T;
  } catch (error) {
    throw errdefs.invalidArgument(`${name} of the archive is no JSON: ${(error as Error).message}`, error);
  }
}
