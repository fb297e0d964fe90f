/** Files into and out of containers, by the rules of `docker cp`. */
import { posix } from 'node:path';
import * as errdefs from '../../api/errdefs.js';
import { decompressed } from '../../oci/decompress.js';
import { extract, type ExtractOptions } from '../../oci/extract.js';
import { archiveTree } from '../../oci/layer-archive.js';
import { LiveTree } from '../../oci/live-tree.js';
import { Scope } from '../../oci/scope.js';
import { withTree } from '../../oci/tree.js';
import { EMPTY, fromText, parentOf, toBytes, type ByteString } from '../../sys/byte-string.js';
import { abortable, quietly, throwIfAborted } from '../abort.js';
import type { Copied } from '../types/files.js';
import { aboutFiles, toldOf } from './failure.js';
import { openDirectory, withDirectory, type Asking } from './layers.js';
import { localSource, localTarget } from './local.js';
import { asksForDirectory, missing, nameOf, placeOf, type Source, type Target } from './paths.js';
import { openRoot, withRoot, type OpenRoot } from './root.js';

/** Copies are no layers: `.wh.x` is a file like any other. */
const COPY = { plain: true, sameKinds: true } as const;

/** What is at a path of a container's, as an archive: `followLink` takes what a link leads to. */
export function readArchive(asking: Asking, path: string, followLink: boolean): AsyncGenerator<Buffer> {
  return toldOf(`container ${asking.record.id}: ${path}`, archiveOf(asking, path, followLink));
}

async function* archiveOf(asking: Asking, path: string, followLink: boolean): AsyncGenerator<Buffer> {
  const opened = await openRoot(asking, false);
  const { root } = opened;
  try {
    const found = inContainer(root, path, followLink);
    yield* bytesOf(asking, root, found.at, fromText(found.name));
  } finally {
    opened.close();
  }
}

export function copyFrom(asking: Asking, path: string, to: string, followLink: boolean): Promise<Copied> {
  return aboutFiles(`container ${asking.record.id}: ${path} to ${to}`, () =>
    withRoot(asking, {}, async (root) => {
      const found = inContainer(root, path, followLink);
      const { directory, name } = placeOf(found, localTarget(to));
      return withDirectory(openDirectory(directory), async (fd) => {
        const bytes = bytesOf(asking, root, found.at, fromText(name));
        return unpack(bytes, new LiveTree(fd), { owner: 'mine' });
      });
    }),
  );
}

export function copyTo(
  asking: Asking,
  from: string,
  path: string,
  { followLink, ownedByUser }: { readonly followLink: boolean; readonly ownedByUser: boolean },
): Promise<Copied> {
  return aboutFiles(`container ${asking.record.id}: ${from} to ${path}`, async () => {
    const source = localSource(from, followLink);
    return withRoot(asking, { writable: true }, async (root) => {
      const { directory, name } = placeOf(source, targetIn(root, path));
      const below = directoryIn(asking, root, directory);
      return withDirectory(openDirectory(source.directory), (fd) =>
        withTree(new LiveTree(fd), (tree) => {
          const bytes = heeding(asking, archiveTree(tree, fromText(source.base), fromText(name)));
          return unpack(bytes, root.tree, { below, owner: ownerOf(asking, ownedByUser) });
        }),
      );
    });
  });
}

/** Unpacks an archive in a directory that is there. */
export function writeArchive(
  asking: Asking,
  path: string,
  archive: AsyncIterable<Uint8Array>,
  ownedByUser: boolean,
): Promise<Copied> {
  return aboutFiles(`container ${asking.record.id}: ${path}`, () =>
    withRoot(asking, { writable: true }, async (root) => {
      const target = targetIn(root, path);
      if (!target.exists) throw missing(`directory ${path} in the container`);
      if (!target.isDirectory)
        throw errdefs.invalidArgument(`${path} is no directory, and an archive is unpacked in one`);
      const below = directoryIn(asking, root, target.path);
      return unpack(decompressed(impatient(asking, archive)), root.tree, {
        below,
        owner: ownerOf(asking, ownedByUser),
      });
    }),
  );
}

interface Found extends Source {
  readonly at: ByteString;
}

function inContainer({ scope, tree }: OpenRoot, path: string, followLink: boolean): Found {
  const clean = Scope.clean(fromText(posix.normalize(`/${path}`)));
  const asks = asksForDirectory(path);
  const at = asks || followLink ? scope.follow(clean) : clean === '' ? EMPTY : scope.resolve(clean);
  const stat = tree.stat(at);
  if (stat === undefined) throw missing(`file ${path} in the container`);
  if (asks && !stat.isDirectory()) throw errdefs.invalidArgument(`${path} is no directory`);
  return {
    at,
    said: path,
    isDirectory: stat.isDirectory(),
    // The root has no name to be called by: what is in it is meant.
    name: nameOf(`/${path}`) || '.',
  };
}

/** A link at the end is followed, also one that leads to what is not there yet. */
function targetIn({ scope, tree }: OpenRoot, path: string): Target {
  const at = scope.follow(Scope.clean(fromText(posix.normalize(`/${path}`))));
  const stat = tree.stat(at);
  return {
    said: path,
    path: `/${toBytes(at).toString()}`,
    exists: stat !== undefined,
    isDirectory: stat?.isDirectory() === true,
  };
}

/** @throws NotFound when it is not there, FailedPrecondition when nothing may be written there */
function directoryIn({ record }: Asking, { tree, mounts, live }: OpenRoot, path: string): ByteString {
  const at = Scope.clean(fromText(path));
  if (tree.stat(at)?.isDirectory() !== true) throw missing(`directory ${path} in the container`);
  if (live) return at;
  for (let above = at; ; above = parentOf(above)) {
    const readOnly = mounts.get(above)?.readOnly ?? (above === '' && record.spec.root?.readonly === true);
    if (readOnly)
      throw errdefs.failedPrecondition(
        `${above === '' ? 'its root file system' : `what is mounted at /${toBytes(above).toString()}`} is read-only`,
      );
    if (above === '' || mounts.has(above)) return at;
  }
}

/** Whoever the container was made for; undefined for what the archive says. */
function ownerOf({ record }: Asking, wanted: boolean): ExtractOptions['owner'] {
  const { uid = 0, gid = 0 } = record.spec.process?.user ?? {};
  return wanted && (uid !== 0 || gid !== 0) ? { uid, gid } : undefined;
}

/** What is mounted below goes along if it is a volume or a bind mount, as with docker; of /proc and the like only the directory. */
function bytesOf(asking: Asking, { tree, mounts }: OpenRoot, at: ByteString, name: ByteString): AsyncGenerator<Buffer> {
  const devices = new Set([tree.stat(at)?.dev]);
  return heeding(
    asking,
    archiveTree(tree, at, name, (path, { dev }) => {
      if (mounts.has(path)) devices.add(dev);
      return devices.has(dev);
    }),
  );
}

async function* heeding<T>({ signal }: Asking, chunks: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    throwIfAborted(signal);
    yield chunk;
  }
}

/** For a stream that may stand still: an abort does not wait for what comes next. */
async function* impatient<T>({ signal }: Asking, chunks: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await abortable(iterator.next(), signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    void quietly(Promise.resolve(iterator.return?.()));
  }
}

async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  tree: LiveTree,
  options: Pick<ExtractOptions, 'below' | 'owner'>,
): Promise<Copied> {
  let bytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      yield chunk;
    }
  };
  const source = counted();
  try {
    await extract(source, tree, { ...COPY, ...options });
  } finally {
    tree.close();
    await source.return(undefined);
  }
  return { bytes };
}
