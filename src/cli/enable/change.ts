/** What is to be done to files: shown as a patch before it is done, and done at once or not at all for each. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CliError } from '../errors.js';
import type { Root } from './root.js';

/** One file, from its text as it is to its text as it shall be; undefined for no file. */
export interface Change {
  /** As the file system calls it. */
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What enable or disable does, and what is to be known of it. */
export interface Plan {
  readonly changes: readonly Change[];
  /** What is left for the user to do, as commands. */
  readonly steps: readonly string[];
  /** What that means for whom. */
  readonly notes: readonly string[];
}

export const NOTHING: Plan = { changes: [], steps: [], notes: [] };

/** Several plans as one; what they have in common is said once. */
export function together(plans: readonly Plan[]): Plan {
  return {
    changes: plans.flatMap(({ changes }) => changes).filter(({ before, after }) => before !== after),
    steps: [...new Set(plans.flatMap(({ steps }) => steps))],
    notes: [...new Set(plans.flatMap(({ notes }) => notes))],
  };
}

/** @throws CliError that names the file, when it cannot be written */
export function apply(root: Root, { path, after }: Change): void {
  const file = root.target(path);
  try {
    if (after === undefined) {
      rmSync(file);
      removeEmptied(dirname(file));
      return;
    }
    mkdirSync(dirname(file), { recursive: true });
    const old = statSync(file, { throwIfNoEntry: false });
    const fresh = `${file}.hawser-new`;
    writeFileSync(fresh, after, { mode: old?.mode ?? 0o644 });
    chmodSync(fresh, old?.mode ?? 0o644);
    if (old !== undefined) chownSync(fresh, old.uid, old.gid);
    renameSync(fresh, file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(
      `${file} cannot be written: ${message}${code === 'EACCES' || code === 'EPERM' ? ': run hawser as root' : ''}`,
      1,
      { cause: error },
    );
  }
}

/** A directory that is there for such a file alone: of a service's drop-ins, or of our own options. */
function removeEmptied(directory: string): void {
  if (!/\.service\.d$|\/etc\/hawser$/.test(directory)) return;
  try {
    rmdirSync(directory);
  } catch (error) {
    // Somebody else has something there.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

const CONTEXT = 3;

/** A change as patch(1) takes it, with one hunk. */
export function patchOf(root: Root, { path, before, after }: Change): string {
  const file = root.target(path);
  const [from, to] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < from.length && head < to.length && from[head] === to[head]) head++;
  let tail = 0;
  while (tail < from.length - head && tail < to.length - head && from.at(-1 - tail) === to.at(-1 - tail)) tail++;
  const start = Math.max(0, head - CONTEXT);
  const more = Math.min(tail, CONTEXT);
  const range = (lines: readonly string[]): string => {
    const count = lines.length - tail + more - start;
    return `${count === 0 ? 0 : start + 1},${count}`;
  };
  const hunk = [
    ...from.slice(start, head).map((line) => ` ${line}`),
    ...from.slice(head, from.length - tail).map((line) => `-${line}`),
    ...to.slice(head, to.length - tail).map((line) => `+${line}`),
    ...from.slice(from.length - tail, from.length - tail + more).map((line) => ` ${line}`),
  ];
  const name = (text: string | undefined): string => (text === undefined ? '/dev/null' : file);
  return `--- ${name(before)}\n+++ ${name(after)}\n@@ -${range(from)} +${range(to)} @@\n${hunk.join('')}`;
}

/** Each with its end; a last line without one says so, as patches do. */
function linesOf(text = ''): string[] {
  const lines = text.split('\n');
  const last = lines.pop()!;
  return [...lines.map((line) => `${line}\n`), ...(last === '' ? [] : [`${last}\n\\ No newline at end of file\n`])];
}
