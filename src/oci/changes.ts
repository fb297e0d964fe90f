/** What differs between two directory trees. */
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync, type BigIntStats } from 'node:fs';
import { EMPTY, inside, type ByteString } from '../sys/byte-string.js';
import { getAttribute, listAttributes, type Path } from '../sys/index.js';
import type { Tree } from './tree.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

export interface Change {
  readonly path: ByteString;
  /** `same` is a directory that something differs in. */
  readonly kind: 'added' | 'modified' | 'deleted' | 'same';
}

const BREATH = 100;
const CHUNK = 256 << 10;

/** Changes from one tree to the other, in the order of names' bytes, a directory before what is in it; directories above a change come as `same`. */
export async function* changes(from: Tree, to: Tree): AsyncGenerator<Change> {
  let count = 0;
  async function* compare(path: ByteString): AsyncGenerator<Change> {
    const before = names(from, path);
    const after = names(to, path);
    for (const name of [...new Set([...before, ...after])].sort()) {
      if (++count % BREATH === 0) await new Promise(setImmediate);
      const child = inside(path, name);
      const old = before.has(name) ? lstatSync(from.on(child), { bigint: true }) : undefined;
      const now = after.has(name) ? lstatSync(to.on(child), { bigint: true }) : undefined;
      if (now === undefined) yield { path: child, kind: 'deleted' };
      else if (old === undefined || typeOf(old) !== typeOf(now)) {
        yield { path: child, kind: old === undefined ? 'added' : 'modified' };
        if (now.isDirectory()) yield* added(child);
      } else {
        const same = alike(from.on(child), old, to.on(child), now);
        if (!same) yield { path: child, kind: 'modified' };
        if (now.isDirectory()) yield* below(child, same);
      }
    }
  }
  /** A directory of both sides: named in front of the first change in it, unless it was already. */
  async function* below(path: ByteString, unnamed: boolean): AsyncGenerator<Change> {
    let named = !unnamed;
    for await (const change of compare(path)) {
      if (!named) yield { path, kind: 'same' };
      named = true;
      yield change;
    }
  }
  /** No recursion, as a tree may be deeper than the stack. */
  function* added(path: ByteString): Generator<Change> {
    const listed = (directory: ByteString): ByteString[] =>
      [...names(to, directory)]
        .sort()
        .reverse()
        .map((name) => inside(directory, name));
    const waiting = listed(path);
    for (let child = waiting.pop(); child !== undefined; child = waiting.pop()) {
      yield { path: child, kind: 'added' };
      if (lstatSync(to.on(child)).isDirectory()) waiting.push(...listed(child));
    }
  }
  yield* compare(EMPTY);
}

function names(tree: Tree, path: ByteString): Set<ByteString> {
  const stat = lstatSync(tree.on(path), { throwIfNoEntry: false });
  return new Set(stat?.isDirectory() === true ? tree.names(path) : []);
}

function typeOf(stat: BigIntStats): bigint {
  return stat.mode & 0o170000n;
}

/** Whether nothing was changed of what both sides have; what is in a directory does not count. */
export function alike(oldPath: Buffer, old: BigIntStats, path: Buffer, now: BigIntStats): boolean {
  if (old.mode !== now.mode || old.uid !== now.uid || old.gid !== now.gid || old.rdev !== now.rdev) return false;
  if (!sameAttributes(oldPath, path)) return false;
  if (now.isDirectory()) return true;
  if (now.isSymbolicLink()) return readlinkSync(oldPath, 'latin1') === readlinkSync(path, 'latin1');
  if (old.size !== now.size || old.mtimeNs !== now.mtimeNs) return false;
  // Without a fraction the time may come from an archive, or from a program that sets times: only the bytes tell.
  return (
    !now.isFile() ||
    now.mtimeNs % 1_000_000_000n !== 0n ||
    (old.ino === now.ino && old.dev === now.dev) ||
    sameBytes(oldPath, path)
  );
}

/** Extended attributes that go into an archive. */
export function attributesOf(path: Path): Map<ByteString, Buffer> {
  const found = new Map<ByteString, Buffer>();
  for (const name of listAttributes(path).sort()) {
    const value =
      name.startsWith('trusted.overlay.') || name.startsWith('system.') ? undefined : getAttribute(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

function sameAttributes(one: Path, other: Path): boolean {
  const a = attributesOf(one);
  const b = attributesOf(other);
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}

function sameBytes(one: Path, other: Path): boolean {
  // Neither a link nor a FIFO that came into a file's place meanwhile.
  const [a, b] = [
    openSync(one, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
    openSync(other, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
  ];
  const [left, right] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  try {
    for (;;) {
      const n = readSync(a, left);
      if (readSync(b, right) !== n || !left.subarray(0, n).equals(right.subarray(0, n))) return false;
      if (n === 0) return true;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}
