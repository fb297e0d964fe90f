/** Frames: how ttrpc cuts a byte stream into messages. Knows nothing of what a message says. */

/** Length of a frame's header: payload length (u32), stream id (u32), type (u8), flags (u8), big endian. */
export const HEADER_LENGTH = 10;

/** The longest payload a frame may carry, inclusive. */
export const MAX_MESSAGE_LENGTH = 4_194_304;

/** The largest number that a stream can have. */
export const LAST_STREAM_ID = 0xffff_ffff;

/** Payloads of up to this length are copied behind their header; a longer one is handed on as it is. */
const COPY_BELOW = 16 * 1024;

/** Frame types. Others are reserved: whoever receives one ignores it. */
export const FrameType = { request: 1, response: 2, data: 3 } as const;

/** Frame flags. */
export const Flag = {
  /** The sender sends no more on this stream. */
  remoteClosed: 0x01,
  /** The sender will send data frames on this stream. */
  remoteOpen: 0x02,
  /** The payload is no message, not even an empty one. */
  noData: 0x04,
} as const;

/** A frame that was received. */
export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  /** As the header says. */
  readonly length: number;
  /** Undefined when the frame was longer than {@link MAX_MESSAGE_LENGTH}, and its payload thrown away. */
  readonly payload: Buffer | undefined;
}

/** The bytes of a frame to be sent: in one piece, or in several that are written one after the other. */
export type FrameBytes = Uint8Array | readonly Uint8Array[];

/** Writes a frame's header to the beginning of a buffer. */
export function writeHeader(into: Buffer, streamId: number, type: number, flags: number, length: number): void {
  into.writeUInt32BE(length, 0);
  into.writeUInt32BE(streamId, 4);
  into[8] = type;
  into[9] = flags;
}

/** A frame around a payload. Long payloads aren't copied, so they must not change until they are sent. */
export function encodeFrame(streamId: number, type: number, flags: number, payload: Uint8Array): FrameBytes {
  return joinFrame(streamId, type, flags, [payload], payload.length);
}

/** A frame around a payload that is there in parts, `length` bytes in all. */
export function joinFrame(
  streamId: number,
  type: number,
  flags: number,
  parts: readonly Uint8Array[],
  length: number,
): FrameBytes {
  if (length > COPY_BELOW) {
    const header = Buffer.allocUnsafe(HEADER_LENGTH);
    writeHeader(header, streamId, type, flags, length);
    return [header, ...parts];
  }
  const frame = Buffer.allocUnsafe(HEADER_LENGTH + length);
  writeHeader(frame, streamId, type, flags, length);
  let at = HEADER_LENGTH;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

const NOTHING = Buffer.alloc(0);

/**
 * Finds the frames in a byte stream: `push` a chunk, then take frames with `next` until there is none.
 *
 * A payload that lies within one chunk is a view of that chunk; only one that spans chunks is copied, once. Of an
 * oversized frame nothing is kept but its header: it is reported when its last byte has passed.
 */
export class FrameDecoder {
  #chunk: Buffer = NOTHING;
  #at = 0;

  readonly #header = Buffer.allocUnsafe(HEADER_LENGTH);
  #headerFill = 0;

  /** What of the current frame's payload has passed; meaningless until its header is complete. */
  #passed = 0;
  #length = 0;
  #body: Buffer | undefined;

  /** Whether the stream has stopped inside a frame. */
  get midFrame(): boolean {
    return this.#headerFill > 0;
  }

  /** Adds bytes. All frames of the chunk before must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The next complete frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    if (this.#headerFill < HEADER_LENGTH && !this.#readHeader()) return this.#starve();

    const available = this.#chunk.length - this.#at;
    const missing = this.#length - this.#passed;
    if (this.#length > MAX_MESSAGE_LENGTH) {
      if (available < missing) {
        this.#passed += available;
        return this.#starve();
      }
      this.#at += missing;
      return this.#finish(undefined);
    }
    if (this.#body === undefined && available >= missing) {
      const from = this.#at;
      this.#at += missing;
      return this.#finish(this.#chunk.subarray(from, this.#at));
    }
    this.#body ??= Buffer.allocUnsafe(this.#length);
    const copied = this.#chunk.copy(this.#body, this.#passed, this.#at, this.#at + Math.min(missing, available));
    this.#at += copied;
    this.#passed += copied;
    return this.#passed < this.#length ? this.#starve() : this.#finish(this.#body);
  }

  #readHeader(): boolean {
    const copied = this.#chunk.copy(
      this.#header,
      this.#headerFill,
      this.#at,
      this.#at + HEADER_LENGTH - this.#headerFill,
    );
    this.#at += copied;
    this.#headerFill += copied;
    if (this.#headerFill < HEADER_LENGTH) return false;
    this.#length = this.#header.readUInt32BE(0);
    this.#passed = 0;
    return true;
  }

  #finish(payload: Buffer | undefined): Frame {
    this.#headerFill = 0;
    this.#body = undefined;
    return {
      streamId: this.#header.readUInt32BE(4),
      type: this.#header[8]!,
      flags: this.#header[9]!,
      length: this.#length,
      payload,
    };
  }

  /** Lets go of the chunk: it is used up, and may be large. */
  #starve(): undefined {
    this.#chunk = NOTHING;
    this.#at = 0;
    return undefined;
  }
}
