/** Reading the small files of cgroupfs. Numbers are 64 bits wide and kept whole. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

export const MAX_U64 = 2n ** 64n - 1n;

/** More than the kernel gives of such a file by one read. */
const ONE_READ = 64 << 10;

/**
 * A file's text, or undefined when it is not there: controllers come and go, and a cgroup may be gone already. By one read alone: the kernel gives a
 * small file whole with the first, and another one, which would only find its end, fails where the cgroup has been removed in between. Then what was
 * read already would be lost.
 */
export function tryTextOnce(...path: string[]): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(join(...path), 'r');
    const text = Buffer.alloc(ONE_READ);
    return text.toString('utf8', 0, readSync(fd, text));
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** ENODEV: the cgroup was removed while open. EOPNOTSUPP: the controller has the file but not the feature. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV', 'ENOTDIR', 'EOPNOTSUPP', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** `max` is the largest number; what is no number is undefined. */
export function parseU64(text: string | undefined): bigint | undefined {
  const word = text?.trim();
  if (word === 'max') return MAX_U64;
  if (word === undefined || !/^-?\d+$/.test(word)) return undefined;
  const value = BigInt(word);
  // containerd's own collector takes what is below zero for zero.
  return value < 0n ? 0n : value;
}

/** Lines of `key value`. */
export function keyedText(text: string | undefined): Map<string, bigint> {
  const result = new Map<string, bigint>();
  for (const line of text?.split('\n') ?? []) {
    const [key, value] = line.split(/\s+/);
    const parsed = parseU64(value);
    if (key && parsed !== undefined) result.set(key, parsed);
  }
  return result;
}

/** Names of the files in a directory, none when it is gone. */
export function tryList(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
