import { chmodSync, closeSync, copyFileSync, lchownSync, linkSync, lstatSync, mkdirSync, openSync, opendirSync, readlinkSync, symlinkSync, constants, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { getAttribute, listAttributes, mknod, setAttribute, setTimes, type Time } from '../../sys/index.js';

const S_IFMT = 0o170000n;
/** Files after which others get their turn. */
const BREATH = 100;

/** Copies what is in a directory into another that is there, with all that the files have: owners, times, attributes, shared names. */
export async function copyTree(from: string, to: string): Promise<void> {
  const names = new Map<string, string>();
  let count = 0;
  const visit = async (source: string, target: string, stat: BigIntStats): Promise<void> => {
    if (++count % BREATH === 0) await new Promise(setImmediate);
    const inode = `${stat.dev}:${stat.ino}`;
    const other = stat.isDirectory() ? undefined : names.get(inode);
    if (other !== undefined) {
      linkSync(other, target);
      return;
    }
    if (stat.nlink > 1n) names.set(inode, target);
    if (stat.isDirectory()) {
      if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, 0o700);
      const dir = opendirSync(source);
      try {
        for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
          const child = join(source, entry.name);
          await visit(child, join(target, entry.name), lstatSync(child, { bigint: true }));
        }
      } finally {
        dir.closeSync();
      }
    } else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (stat.isFile()) {
      closeSync(openSync(target, 'wx', 0o600));
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
    } else mknod(target, Number(stat.mode & S_IFMT) | 0o600, ...deviceOf(stat));
    copyAttributes(source, target, stat);
  };
  await visit(from, to, lstatSync(from, { bigint: true }));
}

function copyAttributes(source: string, target: string, stat: BigIntStats): void {
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
