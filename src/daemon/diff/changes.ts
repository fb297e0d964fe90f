/** What differs between two directory trees. */
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { getAttribute, listAttributes } from '../../sys/index.js';

export interface Change {
  readonly path: string;
  /** `same` is a directory that something differs in. */
  readonly kind: 'added' | 'modified' | 'deleted' | 'same';
}

const BREATH = 100;
const CHUNK = 256 << 10;

/** Changes from one tree to the other, a directory before what is in it; directories above a change come as `same`. */
export async function* changes(from: string, to: string): AsyncGenerator<Change> {
  let count = 0;
  async function* compare(path: string): AsyncGenerator<Change> {
    const before = names(join(from, path));
    const after = names(join(to, path));
    for (const name of [...new Set([...before, ...after])].sort()) {
      if (++count % BREATH === 0) await new Promise(setImmediate);
      const child = path === '' ? name : `${path}/${name}`;
      const old = before.has(name) ? lstatSync(join(from, child), { bigint: true }) : undefined;
      const now = after.has(name) ? lstatSync(join(to, child), { bigint: true }) : undefined;
      if (now === undefined) yield { path: child, kind: 'deleted' };
      else if (old === undefined || typeOf(old) !== typeOf(now)) {
        yield { path: child, kind: old === undefined ? 'added' : 'modified' };
        if (now.isDirectory()) yield* added(child);
      } else {
        const same = alike(join(from, child), old, join(to, child), now);
        if (!same) yield { path: child, kind: 'modified' };
        if (now.isDirectory()) yield* below(child, same);
      }
    }
  }
  /** A directory of both sides: named in front of the first change in it, unless it was already. */
  async function* below(path: string, unnamed: boolean): AsyncGenerator<Change> {
    let named = !unnamed;
    for await (const change of compare(path)) {
      if (!named) yield { path, kind: 'same' };
      named = true;
      yield change;
    }
  }
  function* added(path: string): Generator<Change> {
    for (const name of [...names(join(to, path))].sort()) {
      const child = `${path}/${name}`;
      yield { path: child, kind: 'added' };
      if (lstatSync(join(to, child)).isDirectory()) yield* added(child);
    }
  }
  yield* compare('');
}

function names(dir: string): Set<string> {
  const stat = lstatSync(dir, { throwIfNoEntry: false });
  return new Set(stat?.isDirectory() === true ? readdirSync(dir) : []);
}

function typeOf(stat: BigIntStats): bigint {
  return stat.mode & 0o170000n;
}

function alike(oldPath: string, old: BigIntStats, path: string, now: BigIntStats): boolean {
  if (old.mode !== now.mode || old.uid !== now.uid || old.gid !== now.gid || old.rdev !== now.rdev) return false;
  if (!sameAttributes(oldPath, path)) return false;
  if (now.isDirectory()) return true;
  if (now.isSymbolicLink()) return readlinkSync(oldPath) === readlinkSync(path);
  if (old.size !== now.size || old.mtimeNs !== now.mtimeNs) return false;
  // Without a fraction the time may come from an archive, or from a program that sets times: only the bytes tell.
  return !now.isFile() || now.mtimeNs % 1_000_000_000n !== 0n || (old.ino === now.ino && old.dev === now.dev) || sameBytes(oldPath, path);
}

/** Extended attributes that go into an archive. */
export function attributesOf(path: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of listAttributes(path).sort()) {
    const value = name.startsWith("trusted.overlay.") || name.startsWith('system.') ? undefined : getAttribute(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

function sameAttributes(one: string, other: string): boolean {
  const a = attributesOf(one);
  const b = attributesOf(other);
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}

function sameBytes(one: string, other: string): boolean {
  const [a, b] = [openSync(one, 'r'), openSync(other, 'r')];
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
