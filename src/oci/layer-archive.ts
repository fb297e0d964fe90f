import { constants, lstatSync, readlinkSync, type BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import { attributesOf, changes } from './changes.js';
import { deviceOf, timeOf } from './copy-tree.js';
import type { Moment } from './tar-header.js';
import type { EntryType } from './tar-reader.js';
import { baseOf, inside, parentOf, type ByteString } from '../sys/byte-string.js';
import { Tree } from './tree.js';
import { encodeHeader, END, padding, type Header } from './tar-writer.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

const CHUNK = 256 << 10;
/** Files after which others get their turn. */
const BREATH = 100;

/**
 * A layer: the tar archive of what changed from one tree to another.
 *
 * @param latest no file is younger than this, for archives that come out the same each time
 */
export async function* archive(from: string, to: string, latest?: Moment): AsyncGenerator<Buffer> {
  const [before, after] = [new Tree(from), new Tree(to)];
  try {
    yield* entries(before, after, latest);
  } finally {
    before.close();
    after.close();
  }
  yield END;
}

async function* entries(from: Tree, to: Tree, latest: Moment | undefined): AsyncGenerator<Buffer> {
  const links = new Map<string, ByteString>();
  for await (const { path, kind } of changes(from, to)) {
    if (kind === 'deleted') {
      const now = Date.now();
      const modified = latest ?? { seconds: Math.floor(now / 1000), nanos: 0 };
      yield encodeHeader({
        name: inside(parentOf(path), `.wh.${baseOf(path)}` as ByteString),
        type: 'file',
        mode: 0,
        uid: 0,
        gid: 0,
        size: 0,
        modified,
      });
      continue;
    }
    const stat = lstatSync(to.on(path), { bigint: true });
    // A socket is nothing without the process behind it.
    if (stat.isSocket()) continue;
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.isDirectory() || stat.nlink === 1n ? undefined : links.get(inode);
    if (stat.nlink > 1n) links.set(inode, path);
    const header = describe(path, to.on(path), stat, first, latest);
    yield encodeHeader(header);
    if (header.type === 'file') yield* body(to.on(path), header.size);
  }
}

/** An entry's header: `file` is where it lies. */
function describe(
  name: ByteString,
  file: Buffer,
  stat: BigIntStats,
  link: ByteString | undefined,
  latest: Moment | undefined,
): Header {
  const modified = earlier(timeOf(stat.mtimeNs), latest);
  const [major, minor] = stat.isCharacterDevice() || stat.isBlockDevice() ? deviceOf(stat) : [0, 0];
  const common = {
    name,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    modified,
    major,
    minor,
    size: 0,
  };
  if (link !== undefined) return { ...common, type: 'link', linkname: link };
  const type: EntryType = stat.isDirectory()
    ? 'directory'
    : stat.isSymbolicLink()
      ? 'symlink'
      : stat.isFIFO()
        ? 'fifo'
        : stat.isCharacterDevice()
          ? 'character'
          : stat.isBlockDevice()
            ? 'block'
            : 'file';
  return {
    ...common,
    type,
    attributes: attributesOf(file),
    ...(type === 'symlink' ? { linkname: readlinkSync(file, 'latin1') as ByteString } : {}),
    ...(type === 'file' ? { size: Number(stat.size) } : {}),
  };
}

/**
 * A plain tar archive of what is at a path, with all below it. It may be changing meanwhile: what goes before it was read is left out.
 *
 * @param name what it is called in the archive; with the empty one, only what is below it is there, by names from there on
 * @param enter whether what is in a directory goes, too
 */
export async function* archiveTree(
  tree: Tree,
  path: ByteString,
  name: ByteString,
  enter: (path: ByteString, stat: BigIntStats) => boolean = () => true,
): AsyncGenerator<Buffer> {
  const links = new Map<string, ByteString>();
  let count = 0;
  // No recursion, as a tree may be deeper than the stack.
  const waiting = [{ path, name }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (++count % BREATH === 0) await new Promise(setImmediate);
    const stat = tree.stat(next.path);
    if (stat === undefined || stat.isSocket()) continue;
    if (next.name !== '') yield* entryOf(tree, next, stat, links);
    if (!stat.isDirectory() || !enter(next.path, stat)) continue;
    const { path: above, name: called } = next;
    for (const base of namesIn(tree, above).reverse())
      waiting.push({ path: inside(above, base), name: inside(called, base) });
  }
  yield END;
}

async function* entryOf(
  tree: Tree,
  { path, name }: { readonly path: ByteString; readonly name: ByteString },
  stat: BigIntStats,
  links: Map<string, ByteString>,
): AsyncGenerator<Buffer> {
  const inode = `${stat.dev}:${stat.ino}`;
  const first = stat.isDirectory() || stat.nlink === 1n ? undefined : links.get(inode);
  let header: Header;
  let contents: AsyncGenerator<Buffer> | undefined;
  let piece: Buffer | undefined;
  try {
    header = describe(name, tree.on(path), stat, first, undefined);
    // Its header stands in front of what was opened, and nothing else.
    if (header.type === 'file') {
      contents = body(tree.on(path), header.size);
      piece = (await contents.next()).value as Buffer | undefined;
    }
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  try {
    yield encodeHeader(header);
    if (piece !== undefined) yield piece;
    if (contents !== undefined) yield* contents;
  } finally {
    // It is open since its first piece was read, and its reader may have given up before it was asked for the next.
    await contents?.return(undefined);
  }
  if (stat.nlink > 1n && !stat.isDirectory()) links.set(inode, name);
}

function namesIn(tree: Tree, path: ByteString): ByteString[] {
  try {
    return tree.names(path).sort();
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ESTALE', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function earlier(time: Moment, latest: Moment | undefined): Moment {
  if (latest === undefined) return time;
  return time.seconds > latest.seconds || (time.seconds === latest.seconds && time.nanos > latest.nanos)
    ? latest
    : time;
}

/** A file's bytes, exactly as many as its header says, though it may change meanwhile. */
async function* body(file: Buffer, size: number): AsyncGenerator<Buffer> {
  // What was a file may be anything by now: a link out of the root, or a FIFO that nobody writes to.
  const handle = await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile())
      throw Object.assign(new Error(`${file.toString()} was a file, and became something else while it was read`), {
        code: 'ESTALE',
      });
    for (let left = size; left > 0;) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, left));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      const piece = bytesRead === 0 ? Buffer.alloc(buffer.length) : buffer.subarray(0, bytesRead);
      left -= piece.length;
      yield piece;
    }
  } finally {
    await handle.close();
  }
  yield padding(size);
}
