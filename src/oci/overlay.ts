/** Overlays of many layers: their names must fit into the one page that mount(2) reads. */
import { mkdtempSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The smallest that there is: names are shortened to fit it on kernels with larger ones, too. */
export const PAGE = 4096;
/** Where containerd begins to shorten. */
const SLACK = 512;

/** Mount data, and the directory that relative names in it are taken from. */
export interface Lowers {
  data: string[];
  cwd?: string;
}

const LOWER = 'lowerdir=';

/** The lower directories as the option has them, escapes included, and what stands between: one colon, or two before data-only layers. */
export function splitLowers(data: readonly string[]): {
  at: number;
  dirs: string[];
  join: (names: readonly string[]) => string[];
} {
  const at = data.findIndex((option) => option.startsWith(LOWER));
  const text = data[at]?.slice(LOWER.length) ?? '';
  const dirs = text.match(/(?:\\.|[^:\\])+/gs) ?? [];
  const colons = text.match(/(?:\\.|[^:\\])+(:*)/gs)?.map((part, n) => part.slice(dirs[n]!.length)) ?? [];
  return {
    at,
    dirs,
    join: (names) =>
      data.map((option, n) => (n === at ? LOWER + names.map((name, k) => name + colons[k]!).join('') : option)),
  };
}

/**
 * The data as it is where it is short; else with names relative to the layers' common parent, as containerd has it; else,
 * as their parents may have little in common, with links to them from a directory that is there while mounting.
 */
export function fitLowers(data: readonly string[], scratch: string, undo: (() => void)[]): Lowers {
  if (size(data) < PAGE - SLACK) return { data: [...data] };
  const { dirs, join: joined } = splitLowers(data);
  if (dirs.length < 2 || !dirs.every((dir) => dir.startsWith('/'))) return { data: [...data] };
  const parent = commonParent(dirs);
  if (parent !== '/') {
    const short = joined(dirs.map((dir) => dir.slice(parent.length).replace(/^\/+/, '')));
    if (size(short) < PAGE) return { cwd: unescapeLower(parent), data: short };
  }
  const cwd = mkdtempSync(scratch);
  undo.push(() => rmdirSync(cwd));
  for (const [n, dir] of dirs.entries()) {
    const link = join(cwd, String(n));
    symlinkSync(unescapeLower(dir), link);
    undo.push(() => unlinkSync(link));
  }
  return { cwd, data: joined(dirs.map((_, n) => String(n))) };
}

/** A name as it is on disk: overlay takes a backslash as making the next character an ordinary one. */
export function unescapeLower(dir: string): string {
  return dir.replace(/\\(.)/gs, '$1');
}

function size(data: readonly string[]): number {
  return Buffer.byteLength(data.join(','));
}

function commonParent(dirs: readonly string[]): string {
  const paths = dirs.map((dir) => dir.split('/').slice(0, -1));
  const [first = [], ...rest] = paths;
  let depth = 0;
  while (depth < first.length && rest.every((path) => path[depth] === first[depth])) depth++;
  return first.slice(0, depth).join('/') || '/';
}
