/** Takes a log of entries apart: kubelet's form, `2026-11-29T19:43:32.123456789Z stdout F a line`, as Hawser's shim writes it (monitor/entries.h). */

export type LogStream = 'stdout' | 'stderr';

/** A line, or a piece of one: what ended in no newline when it was written, or was longer than 16 KiB. */
export interface LogPiece {
  /** RFC 3339 with nanoseconds, in UTC; undefined where none is known. */
  readonly time: string | undefined;
  readonly stream: LogStream;
  /** As it was printed, its newline included. */
  readonly bytes: Buffer;
}

/** How long an entry's head is: time, stream and tag, each with a space behind it. */
export const HEAD = 40;
const TIME = 30;
const NEWLINE = 0x0a;
/** By which stdout and stderr differ. */
const STREAM_AT = 34;
export const TAG_AT = 38;
const FULL = 0x46;
/** 0 stands for any digit. */
const FORM = '0000-00-00T00:00:00.000000000Z std';

/** Whether these bytes are the beginning of an entry, as far as they go. */
export function mayBeEntry(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
  const length = Math.min(to - from, HEAD);
  for (let i = 0; i < Math.min(length, FORM.length); i++) {
    const [byte, form] = [bytes[from + i]!, FORM.charCodeAt(i)];
    if (form === 0x30 ? byte < 0x30 || byte > 0x39 : byte !== form) return false;
  }
  if (length < HEAD) return true;
  const rest = Buffer.from(bytes.subarray(from + FORM.length, from + HEAD)).toString('latin1');
  return /^(?:out|err) [FP] $/.test(rest);
}

/** Which stream an entry is of, by its bytes from its first on. */
export function streamOf(bytes: Uint8Array, from = 0): LogStream {
  return bytes[from + STREAM_AT] === 0x6f ? 'stdout' : 'stderr';
}

/** Whether an entry, by its bytes from its first on, ends a line. */
export function endsLine(bytes: Uint8Array, from = 0): boolean {
  return bytes[from + TAG_AT] === FULL;
}

/** What is no entry is given as it is, as standard output without a time: a shim that knows of no entries has written it. */
export class EntryDecoder {
  #left: Buffer = Buffer.alloc(0);
  /** In the middle of a line that is no entry. */
  #isOther = false;

  /** What can be told by now; the rest waits for what comes next. */
  push(chunk: Buffer): LogPiece[] {
    const bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    const pieces: LogPiece[] = [];
    let at = 0;
    while (at < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, at);
      const isEntry = !this.#isOther && mayBeEntry(bytes, at, newline === -1 ? bytes.length : newline);
      if (newline === -1 && isEntry) break;
      const end = newline === -1 ? bytes.length : newline + 1;
      if (isEntry && end - at > HEAD) pieces.push(pieceOf(bytes, at, end));
      else pieces.push({ time: undefined, stream: 'stdout', bytes: bytes.subarray(at, end) });
      this.#isOther = newline === -1;
      at = end;
    }
    this.#left = bytes.subarray(at);
    return pieces;
  }

  /** Nothing more comes: what is left is none. */
  end(): LogPiece[] {
    const bytes = this.#left;
    this.#left = Buffer.alloc(0);
    return bytes.length === 0 ? [] : [{ time: undefined, stream: 'stdout', bytes }];
  }
}

function pieceOf(bytes: Buffer, from: number, end: number): LogPiece {
  return {
    time: bytes.toString('latin1', from, from + TIME),
    stream: streamOf(bytes, from),
    bytes: bytes.subarray(from + HEAD, endsLine(bytes, from) ? end : end - 1),
  };
}
