/** A log's entries, in kubelet's form for those of container runtimes (monitor/entries.h). */
import { native } from './native.js';

/** Whose entries they are. */
export type EntryStream = 'stdout' | 'stderr';

/** As in monitor/entries.h. */
const STREAMS: Readonly<Record<EntryStream, number>> = { stdout: 1, stderr: 2 };

/** For the addon; 0 where there are to be none. */
export function streamNumber(stream: EntryStream | undefined): number {
  return stream === undefined ? 0 : STREAMS[stream];
}

/**
 * Makes entries of bytes that were read just now, with the time of now: `2026-11-29T19:43:32.123456789Z stdout F a line`, or with P for what ends
 * in no newline, or is a piece of a line of more than 16 KiB.
 *
 * @param into where they are put, from `at` on: as many as there is room for. One has 16 KiB and 41 bytes at the most
 * @returns how many of the bytes are in them, and how many bytes they have
 */
export function logEntries(
  bytes: Uint8Array,
  from: number,
  to: number,
  stream: EntryStream,
  into: Uint8Array,
  at: number,
): { readonly taken: number; readonly put: number } {
  const [taken, put] = native.logEntries(bytes, from, to, streamNumber(stream), into, at);
  return { taken, put };
}
