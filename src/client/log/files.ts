/** A log and the files that it was rotated to: x.log is being written, x.log.1 came before it, x.log.2 before that. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { endsLine, HEAD, mayBeEntry, streamOf, type LogStream } from './entries.js';

/** More than any log has. */
const MOST_FILES = 10_000;
const NEWLINE = 0x0a;
const BLOCK = 64 * 1024;

/** The path of the n-th file; 0 is the one being written. */
export function nth(path: string, n: number): string {
  return n === 0 ? path : `${path}.${n}`;
}

/** How many older files there are. */
export function olderFiles(path: string): number {
  let n = 0;
  while (n < MOST_FILES && statSync(nth(path, n + 1), { throwIfNoEntry: false })) n++;
  return n;
}

/** Where a log's reader begins. The file is known by its inode, as its name changes while it is rotated. */
export interface Position {
  /** Undefined when there was no file: all that will be there is to be read. */
  readonly inode: number | undefined;
  readonly offset: number;
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** Which file has an inode now; the oldest one when it is gone, or was none. */
export function locate(path: string, inode: number | undefined): { readonly file: number; readonly found: boolean } {
  const oldest = olderFiles(path);
  for (let n = 0; inode !== undefined && n <= oldest; n++)
    if (inodeOf(nth(path, n)) === inode) return { file: n, found: true };
  return { file: oldest, found: false };
}

/** The beginning of all that is kept. */
export function beginning(path: string): Position {
  return { inode: inodeOf(nth(path, olderFiles(path))), offset: 0 };
}

/** Behind all that has been written. */
export function ending(path: string): Position {
  const found = statSync(path, { throwIfNoEntry: false });
  return { inode: found?.ino, offset: found?.size ?? 0 };
}

/** Where the last lines begin. A line without an end counts, too. */
export function lastLines(path: string, lines: number): Position {
  if (lines === 0) return ending(path);
  let left = lines;
  let first = true;
  const oldest = olderFiles(path);
  for (let file = 0; file <= oldest; file++) {
    const fd = openIfThere(nth(path, file));
    if (fd === undefined) continue;
    try {
      const buffer = Buffer.allocUnsafe(BLOCK);
      for (let end = fstatSync(fd).size; end > 0;) {
        const from = Math.max(0, end - BLOCK);
        const length = readSync(fd, buffer, 0, end - from, from);
        for (let i = length - 1; i >= 0; i--) {
          const last = first;
          first = false;
          // The newline at the very end ends the last line, and begins none.
          if (buffer[i] !== NEWLINE || last) continue;
          if (--left === 0) return { inode: fstatSync(fd).ino, offset: from + i + 1 };
        }
        end = from;
      }
    } finally {
      closeSync(fd);
    }
  }
  return beginning(path);
}

/**
 * Where the last lines begin in a log of entries: one that is in pieces counts once, and so does the piece of a line that has not ended, of either
 * stream. What is no entry counts as a line.
 */
export function lastEntries(path: string, lines: number): Position {
  if (lines === 0) return ending(path);
  const open = new Set<LogStream>(['stdout', 'stderr']);
  let left = lines;
  let next = ending(path);
  for (const { inode, from, end, head } of entriesBackwards(path)) {
    if (!mayBeEntry(head) || head.length < HEAD) left--;
    else {
      // A piece belongs to the end of its line, which has been counted; only the last may have none.
      if (endsLine(head) || open.has(streamOf(head))) left--;
      open.delete(streamOf(head));
    }
    if (left < 0) return { inode, offset: end };
    next = { inode, offset: from };
  }
  return next;
}

/** The lines of all files, from the last one on: where they are, and their first bytes. */
function* entriesBackwards(path: string): Generator<{ inode: number; from: number; end: number; head: Buffer }> {
  const oldest = olderFiles(path);
  for (let file = 0; file <= oldest; file++) {
    const fd = openIfThere(nth(path, file));
    if (fd === undefined) continue;
    try {
      const { size, ino: inode } = fstatSync(fd);
      const buffer = Buffer.allocUnsafe(BLOCK);
      const headAt = (from: number, end: number): Buffer => {
        const head = Buffer.alloc(Math.min(HEAD, end - from));
        return head.subarray(0, readSync(fd, head, 0, head.length, from));
      };
      let lineEnd = size;
      for (let blockEnd = size; blockEnd > 0;) {
        const blockFrom = Math.max(0, blockEnd - BLOCK);
        const length = readSync(fd, buffer, 0, blockEnd - blockFrom, blockFrom);
        for (let i = length - 1; i >= 0; i--) {
          const from = blockFrom + i + 1;
          if (buffer[i] !== NEWLINE || from === size) continue;
          yield { inode, from, end: lineEnd, head: headAt(from, lineEnd) };
          lineEnd = from;
        }
        blockEnd = blockFrom;
      }
      if (size > 0) yield { inode, from: 0, end: lineEnd, head: headAt(0, lineEnd) };
    } finally {
      closeSync(fd);
    }
  }
}

export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
