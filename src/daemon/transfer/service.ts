import { randomUUID } from 'node:crypto';
import {
  ContainerdServicesTransferV1Transfer,
  containerd,
  errdefs,
  isType,
  pack,
  type google,
} from '../../api/full.js';
import type { Differ } from '../diff/types.js';
import { bindService, type BoundService, type Call } from '../grpc/service.js';
import { isAlreadyExists, isNotFound } from '../failures.js';
import { receiveBytes, sendBytes } from './bytes.js';
import { exportImages } from './export.js';
import { importArchive } from './import.js';
import { namesFor } from './names.js';
import { Documents, isIndex, platformFrom, suits, type Descriptor } from './oci.js';
import type { Streams } from './streams.js';
import type { Image, TransferStores } from './stores.js';
import { unpack } from './unpack.js';

type Any = google.protobuf.Any.$Properties;
type Store = containerd.types.transfer.ImageStore;

const { ImageImportStream, ImageExportStream, ImageStore, Progress } = containerd.types.transfer;
const PACKAGE = 'containerd.types.transfer';
/** After which a transfer that the daemon did not live to end lets go of what it made. */
const LEASE_MS = 24 * 3600 * 1000;

export interface TransferParts {
  readonly stores: TransferStores;
  readonly differ: Differ;
  readonly streams: Streams;
  /** The name of the snapshotter that an empty name means. */
  readonly defaultSnapshotter: string;
}

type Tell = (event: string, name?: string, desc?: Descriptor) => void;

/** The Transfer service: archives of images in and out, and other names for images. Registries are for the client. */
export function transferService(parts: TransferParts): BoundService {
  return bindService(ContainerdServicesTransferV1Transfer, {
    Transfer: async ({ source, destination, options }, call) => {
      const { namespace } = call;
      const progress = options?.progressStream ? parts.streams.get(namespace, options.progressStream) : undefined;
      const tell: Tell = (event, name = '', desc) =>
        progress?.send(pack(`${PACKAGE}.Progress`, Progress, { event, name, desc: desc ?? null }));
      try {
        await run(parts, call, source ?? {}, destination ?? {}, tell);
      } finally {
        progress?.close();
      }
      return {};
    },
  });
}

async function run(parts: TransferParts, call: Call, source: Any, destination: Any, tell: Tell): Promise<void> {
  const is = (any: Any, name: string): boolean => isType(any, `${PACKAGE}.${name}`);
  const bytes = (any: Any): Uint8Array => any.value ?? new Uint8Array(0);
  if (is(source, 'ImageImportStream') && is(destination, 'ImageStore')) {
    const { stream, forceCompress } = ImageImportStream.decode(bytes(source));
    return withLease(parts.stores, call, (lease) =>
      importStream(parts, call.namespace, lease, stream, forceCompress, ImageStore.decode(bytes(destination)), tell),
    );
  }
  if (is(source, 'ImageImportStream') && is(destination, 'ImageExportStream')) {
    return echo(
      parts.streams,
      call.namespace,
      ImageImportStream.decode(bytes(source)).stream,
      ImageExportStream.decode(bytes(destination)).stream,
    );
  }
  if (is(source, 'ImageStore') && is(destination, 'ImageExportStream')) {
    const options = ImageExportStream.decode(bytes(destination));
    const open = parts.streams.get(call.namespace, options.stream);
    tell('Exporting');
    try {
      await withImages(parts.stores, call.namespace, ImageStore.decode(bytes(source)), (images) =>
        sendBytes(open, exportImages(new Documents(parts.stores.content, call.namespace, undefined), images, options)),
      );
    } finally {
      open.close();
    }
    return tell('Completed export');
  }
  if (is(source, 'ImageStore') && is(destination, 'ImageStore')) {
    const { name, labels, extraReferences } = ImageStore.decode(bytes(destination));
    return withImages(parts.stores, call.namespace, ImageStore.decode(bytes(source)), async ([image]) => {
      for (const one of [
        name,
        ...extraReferences.filter(({ isPrefix }) => !isPrefix).map((reference) => reference.name ?? ''),
      ].filter(Boolean)) {
        await save(parts.stores, call.namespace, {
          name: one,
          target: image?.target ?? null,
          labels: { ...image?.labels, ...labels },
        });
      }
    });
  }
  throw errdefs.notImplemented(
    `transfer from ${source.type_url ?? 'nothing'} to ${destination.type_url ?? 'nothing'}: this daemon imports and exports archives, and leaves registries to the client (ctr images pull --local)`,
  );
}

/** What comes by one stream goes out by the other as it is, whatever it is: clients try their streams so, as containerd's own do. */
async function echo(streams: Streams, namespace: string, from: string, to: string): Promise<void> {
  const [source, destination] = [streams.get(namespace, from), streams.get(namespace, to)];
  try {
    await sendBytes(destination, receiveBytes(source));
  } finally {
    source.close();
    destination.close();
  }
}

async function importStream(
  { stores, differ, streams, defaultSnapshotter }: TransferParts,
  namespace: string,
  lease: string,
  stream: string,
  compress: boolean,
  store: Store,
  tell: Tell,
): Promise<void> {
  const open = streams.get(namespace, stream);
  const documents = new Documents(stores.content, namespace, lease);
  tell('Importing');
  let index: Descriptor;
  try {
    index = await importArchive(documents, receiveBytes(open), compress);
  } finally {
    open.close();
  }
  const platforms = store.platforms.map(platformFrom);
  const images = (await label(documents, index)).filter(
    ({ platform }) =>
      platform === undefined || platforms.length === 0 || platforms.some((want) => suits(platform, want)),
  );
  for (const { platform, snapshotter } of store.unpacks) {
    const name = snapshotter || defaultSnapshotter;
    for (const manifest of await manifestsIn(documents, images)) {
      if (!suits(await documents.platformOf(manifest), platformFrom(platform))) continue;
      tell('unpacking', manifest.digest, manifest);
      await unpack(documents, manifest, stores.snapshotter(name), name, differ);
    }
  }
  const names: [string, Descriptor][] = images.flatMap((image) =>
    namesFor(image, store.extraReferences).map((name): [string, Descriptor] => [name, image]),
  );
  if (store.name !== '') names.push([store.name, index]);
  for (const [name, target] of names) {
    const { mediaType, digest, size, annotations = {} } = target;
    await save(stores, namespace, { name, labels: store.labels, target: { mediaType, digest, size, annotations } });
    tell('saved', name, target);
  }
  tell('Completed import');
}

/** Has everything refer to what it names, so that it is kept with it. Gives what the index names. */
async function label(documents: Documents, one: Descriptor): Promise<Descriptor[]> {
  const children = (await documents.children(one)).filter(({ digest }) => documents.has(digest));
  const labels: Record<string, string> = {};
  let [manifests, layers] = [0, 0];
  for (const child of children) {
    const name = isIndex(one)
      ? `m.${manifests++}`
      : /config|container\.image/.test(child.mediaType)
        ? 'config'
        : `l.${layers++}`;
    labels[`containerd.io/gc.ref.content.${name}`] = child.digest;
    await label(documents, child);
  }
  if (children.length > 0)
    await documents.content.update(
      documents.namespace,
      { digest: one.digest, labels },
      Object.keys(labels).map((key) => `labels.${key}`),
    );
  return children;
}

async function manifestsIn(documents: Documents, images: readonly Descriptor[]): Promise<Descriptor[]> {
  const found = new Map<string, Descriptor>();
  for (const image of images) {
    const inside = isIndex(image)
      ? await manifestsIn(
          documents,
          (await documents.children(image)).filter(({ digest }) => documents.has(digest)),
        )
      : [image];
    for (const one of inside) found.set(one.digest, one);
  }
  return [...found.values()];
}

function lookUp(
  { images }: TransferStores,
  namespace: string,
  { name, extraReferences, exportImages: more }: Store,
): Image[] {
  if (extraReferences.some(({ isPrefix }) => isPrefix))
    throw errdefs.notImplemented('images cannot be looked up by a prefix of their names');
  const names = [name, ...extraReferences.map((reference) => reference.name ?? ''), ...more].filter(Boolean);
  return [...new Set(names)].map((one) => images.get(namespace, one));
}

async function save({ images }: TransferStores, namespace: string, image: Image): Promise<void> {
  for (;;) {
    try {
      await images.create(namespace, image);
      return;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    try {
      await images.update(namespace, image, []);
      return;
    } catch (error) {
      // Removed between the two: made anew.
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Works with images that a client names. Their content is kept meanwhile, whatever becomes of their names. */
async function withImages(
  stores: TransferStores,
  namespace: string,
  store: Store,
  work: (images: Image[]) => Promise<void>,
): Promise<void> {
  // A lease of our own: that of the client is for what it makes.
  await withOwnLease(stores, namespace, async (lease) => {
    for (const { target } of lookUp(stores, namespace, store))
      await stores.content.keep(namespace, target?.digest ?? '', lease);
    // Named still, now that they are kept; another image under the name is kept by it, or its absence told.
    await work(lookUp(stores, namespace, store));
  });
}

async function withLease(
  stores: TransferStores,
  { namespace, lease }: Call,
  work: (lease: string) => Promise<void>,
): Promise<void> {
  return lease === undefined ? withOwnLease(stores, namespace, work) : work(lease);
}

async function withOwnLease(
  stores: TransferStores,
  namespace: string,
  work: (lease: string) => Promise<void>,
): Promise<void> {
  const id = `transfer-${randomUUID()}`;
  await stores.leases.create(namespace, {
    id,
    labels: { 'containerd.io/gc.expire': new Date(Date.now() + LEASE_MS).toISOString() },
  });
  try {
    await work(id);
  } finally {
    await stores.leases.delete(namespace, id).catch((error: unknown) => {
      // It has expired, or a client has removed it.
      if (!isNotFound(error)) throw error;
    });
  }
}
