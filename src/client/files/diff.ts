/** What a container has changed. */
import { changes, type Change } from '../../oci/changes.js';
import { LiveTree } from '../../oci/live-tree.js';
import { overlayChanges } from '../../oci/overlay-changes.js';
import { openApart, valueOf, withEmpty } from '../../oci/temporary-mounts.js';
import { withTree, type Tree } from '../../oci/tree.js';
import { fromText, parentOf, toBytes, type ByteString } from '../../sys/byte-string.js';
import { throwIfAborted } from '../abort.js';
import type { FileChange } from '../types/files.js';
import { aboutFiles } from './failure.js';
import { openDirectory, openLayers, withDirectory, type Asking } from './layers.js';
import { withSides, type Sides } from './parent.js';

/** As `docker diff`: in the order of their paths, with the directories above. */
export function changedFiles(asking: Asking): Promise<FileChange[]> {
  const { record } = asking;
  return aboutFiles(`container ${record.id}: diff`, async () => {
    const found = await withSides(asking, (sides) => compared(asking, sides));
    // The runtime makes what it mounts something on.
    const made = new Set((record.spec.mounts ?? []).map(({ destination }) => fromText(destination.slice(1))));
    const kept = found.filter(({ path, kind }) => kind !== 'added' || !made.has(path));
    const above = new Set<ByteString>();
    for (const { path } of kept.filter(({ kind }) => kind !== 'same'))
      for (let at = parentOf(path); at !== '' && !above.has(at); at = parentOf(at)) above.add(at);
    return kept
      .filter(({ path, kind }) => kind !== 'same' || above.has(path))
      .sort((a, b) => (inOrder(a.path) < inOrder(b.path) ? -1 : 1))
      .map(({ path, kind }) => ({
        path: `/${toBytes(path).toString()}`,
        kind: kind === 'same' ? 'modified' : kind,
      }));
  });
}

/** A directory stands in front of what is in it, and that in front of what is beside it. */
function inOrder(path: ByteString): string {
  return path.replaceAll('/', '\0');
}

async function compared({ record, signal }: Asking, { before, after }: Sides): Promise<Change[]> {
  throwIfAborted(signal);
  const [only] = after;
  const upper = only?.type === 'overlay' && after.length === 1 ? valueOf(only.options ?? [], 'upperdir') : undefined;
  const now = await openLayers(record, { mounts: after });
  return withDirectory(now, (to) =>
    withBefore(before, (from) =>
      withTree(new LiveTree(from), (old) =>
        withTree(new LiveTree(to), async (live) => {
          const quick = upper === undefined ? undefined : await ofUpper(old, upper);
          return quick ?? (await collected(changes(old, live), signal));
        }),
      ),
    ),
  );
}

async function ofUpper(lower: Tree, upper: string): Promise<Change[] | undefined> {
  return withDirectory(openDirectory(upper), (fd) => withTree(new LiveTree(fd), (tree) => overlayChanges(lower, tree)));
}

async function withBefore<R>(mounts: Sides['before'], work: (fd: number) => Promise<R>): Promise<R> {
  if (mounts.length > 0) return withDirectory(await openApart(mounts), work);
  return withEmpty((dir) => withDirectory(openDirectory(dir), work));
}

async function collected(found: AsyncIterable<Change>, signal: AbortSignal | undefined): Promise<Change[]> {
  const all: Change[] = [];
  for await (const one of found) {
    throwIfAborted(signal);
    all.push(one);
  }
  return all;
}
