/** Reading the small files of cgroupfs. Numbers are 64 bits wide and kept whole. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An unsigned 64-bit number as protobufjs takes it, without a library for it. */
export interface U64 {
  low: number;
  high: number;
  unsigned: true;
}

export const MAX_U64 = 2n ** 64n - 1n;

export function u64(value: bigint): U64 {
  const bits = BigInt.asUintN(64, value);
  return { low: Number(bits & 0xffffffffn) | 0, high: Number(bits >> 32n) | 0, unsigned: true };
}

/** A file's text, or undefined when it is not there: controllers come and go, and a cgroup may be gone already. */
export function tryText(...path: string[]): string | undefined {
  try {
    return readFileSync(join(...path), 'utf8');
  } catch (error) {
    // ENODEV: the cgroup was removed while open. EOPNOTSUPP: the controller has the file but not the feature.
    if (['ENOENT', 'ENODEV', 'ENOTDIR', 'EOPNOTSUPP', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined;
    throw error;
  }
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

/** The number in a file, 0 when there is none. */
export function number(...path: string[]): U64 {
  return u64(parseU64(tryText(...path)) ?? 0n);
}

/** Lines of `key value`. */
export function keyed(...path: string[]): Map<string, bigint> {
  return keyedText(tryText(...path));
}

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
