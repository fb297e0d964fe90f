/** Copies of directories. */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { copyFile as copyFileAside } from 'node:fs/promises';
import { EMPTY, inside, type ByteString } from '../sys/byte-string.js';
import { getAttribute, listAttributes, mknod, nextData, setAttribute, setTimes, type Time } from '../sys/index.js';
import { withTree, type Tree } from './tree.js';

const S_IFMT = 0o170000n;
/** Files after which others get their turn. */
const BREATH = 100;
const SECTOR = 512n;
const CHUNK = 256 << 10;
/** Larger files are copied by libuv's pool, so that others get their turn. */
const LARGE = 1n << 20n;

/**
 * Copies what is in a directory into another that is there, with all that the files have: owners, times, attributes, shared names, holes.
 *
 * @param check called before each file; what it throws ends the copying
 */
export function copyTree(from: string, to: string, check: () => void = () => undefined): Promise<void> {
  return withTree(from, (source) => withTree(to, (target) => copyAll(source, target, check)));
}

async function copyAll(from: Tree, to: Tree, check: () => void): Promise<void> {
  const names = new Map<string, ByteString>();
  let count = 0;
  /** Directories get what they have once they are full: in turn behind what is in them. */
  const waiting: { path: ByteString; full?: BigIntStats }[] = [{ path: EMPTY }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, full } = next;
    check();
    if (++count % BREATH === 0) await new Promise(setImmediate);
    if (full !== undefined) {
      copyAttributes(from.on(path), to.on(path), full);
      continue;
    }
    const stat = lstatSync(from.on(path), { bigint: true });
    const inode = `${stat.dev}:${stat.ino}`;
    const other = stat.isDirectory() ? undefined : names.get(inode);
    if (other !== undefined) {
      linkSync(to.on(other), to.on(path));
      continue;
    }
    if (stat.nlink > 1n) names.set(inode, path);
    const [source, target] = [from.on(path), to.on(path)];
    if (stat.isDirectory()) {
      if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, 0o700);
      waiting.push({ path, full: stat });
      for (const name of readdirSync(source, 'latin1') as ByteString[]) waiting.push({ path: inside(path, name) });
      continue;
    }
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(source, 'buffer'), target);
    else if (stat.isFile()) await copyFile(source, target, stat, check);
    else mknod(target, Number(stat.mode & S_IFMT) | 0o600, ...deviceOf(stat));
    copyAttributes(source, target, stat);
  }
}

async function copyFile(
  source: Buffer,
  target: Buffer,
  { size, blocks }: BigIntStats,
  check: () => void,
): Promise<void> {
  const to = openSync(target, 'wx', 0o600);
  try {
    // The kernel's own copying fills holes up.
    if (blocks * SECTOR < size) await copySparse(source, to, Number(size), check);
    else if (size > LARGE) await copyFileAside(source, target, constants.COPYFILE_FICLONE);
    else copyFileSync(source, target, constants.COPYFILE_FICLONE);
  } finally {
    closeSync(to);
  }
}

async function copySparse(source: Buffer, to: number, size: number, check: () => void): Promise<void> {
  const from = openSync(source, 'r');
  try {
    ftruncateSync(to, size);
    const buffer = Buffer.allocUnsafe(CHUNK);
    let chunks = 0;
    for (let data = nextData(from, 0); data !== undefined; data = nextData(from, data.end)) {
      for (let at = data.start; at < data.end;) {
        const read = readSync(from, buffer, 0, Math.min(CHUNK, data.end - at), at);
        if (read === 0) break;
        for (let done = 0; done < read;) done += writeSync(to, buffer, done, read - done, at + done);
        at += read;
        if (++chunks % BREATH !== 0) continue;
        check();
        await new Promise(setImmediate);
      }
    }
  } finally {
    closeSync(from);
  }
}

/** Gives a file the owner, attributes, mode and times that another has. */
export function copyAttributes(source: Buffer, target: Buffer, stat: BigIntStats): void {
  lchownSync(target, Number(stat.uid), Number(stat.gid));
  for (const name of listAttributes(source)) {
    const value = getAttribute(source, name);
    if (value !== undefined) setAttribute(target, name, value);
  }
  if (!stat.isSymbolicLink()) chmodSync(target, Number(stat.mode & 0o7777n));
  setTimes(target, timeOf(stat.atimeNs), timeOf(stat.mtimeNs));
}

/** Major and minor number, as Linux puts them into one (makedev(3)). */
export function deviceOf({ rdev }: Pick<BigIntStats, 'rdev'>): [number, number] {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}

/** A moment in nanoseconds, taken apart. */
export function timeOf(ns: bigint): Time {
  const nanos = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanos) / 1_000_000_000n), nanos: Number(nanos) };
}
