/** The frames of HTTP/2 (RFC 9113, sections 4 and 6). */
import { FRAME_SIZE_ERROR, HttpError, PROTOCOL_ERROR } from './codes.js';

export const DATA = 0x0;
export const HEADERS = 0x1;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PUSH_PROMISE = 0x5;
export const PING = 0x6;
export const GOAWAY = 0x7;
export const WINDOW_UPDATE = 0x8;
export const CONTINUATION = 0x9;

/** Flags. */
export const ACK = 0x1;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;

/** What a client says first. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** What a frame may have by default besides its header, in bytes; nobody here asks for more. */
export const FRAME_SIZE = 16_384;
const FRAME_HEADER = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0 for the connection itself. */
  readonly stream: number;
  readonly payload: Buffer;
}

export function frameHeader(type: number, flags: number, stream: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return header;
}

/** A frame that is but numbers of 32 bits. */
export function numbersFrame(type: number, stream: number, ...numbers: readonly number[]): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER + 4 * numbers.length);
  frameHeader(type, 0, stream, 4 * numbers.length).copy(frame);
  numbers.forEach((number, n) => frame.writeUInt32BE(number, FRAME_HEADER + 4 * n));
  return frame;
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  settings.forEach(([id, value], n) => {
    payload.writeUInt16BE(id, 6 * n);
    payload.writeUInt32BE(value, 6 * n + 2);
  });
  return Buffer.concat([frameHeader(SETTINGS, 0, 0, payload.length), payload]);
}

/** What is in a DATA or HEADERS frame, without what only fills it up or says who goes first. @throws HttpError */
export function contentOf({ type, flags, payload }: Frame): Buffer {
  let [start, end] = [0, payload.length];
  if (flags & PADDED) {
    start = 1;
    end -= payload[0] ?? 0;
  }
  if (type === HEADERS && flags & PRIORITY) start += 5;
  if (start > end) throw new HttpError(PROTOCOL_ERROR, 'a frame is filled up with more than it has');
  return payload.subarray(start, end);
}

/** Takes frames out of bytes that come in pieces. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws HttpError for a frame that is larger than it may be */
  *take(piece: Buffer): Generator<Frame> {
    let rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    this.#rest = rest;
    while (rest.length >= FRAME_HEADER) {
      const length = rest.readUIntBE(0, 3);
      if (length > FRAME_SIZE) throw new HttpError(FRAME_SIZE_ERROR, `a frame has ${length} bytes`);
      const end = FRAME_HEADER + length;
      if (rest.length < end) break;
      const frame = {
        type: rest[3]!,
        flags: rest[4]!,
        stream: rest.readUInt32BE(5) & 0x7fff_ffff,
        payload: rest.subarray(FRAME_HEADER, end),
      };
      rest = rest.subarray(end);
      this.#rest = rest;
      yield frame;
    }
  }
}
