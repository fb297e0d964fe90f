/** gRPC's messages on a stream of HTTP/2: a byte that says whether it is compressed, its length, and then the message. */
import { Code } from '../../ttrpc/status.js';
import { StatusError } from './status.js';

const HEADER = 5;
const MAX_MESSAGE = 64 * 1024 * 1024;

/** @throws StatusError for one that is too large */
export function frame(message: Uint8Array): Buffer {
  if (message.length > MAX_MESSAGE) throw tooLarge('sent', message.length);
  const bytes = Buffer.allocUnsafe(HEADER + message.length);
  bytes.writeUInt8(0, 0);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, HEADER);
  return bytes;
}

/** Takes messages out of bytes that come in pieces. */
export class Unframer {
  #pieces: Buffer[] = [];
  #size = 0;
  /** So many bytes are needed to go on. */
  #wanted = HEADER;

  /** @throws StatusError for what is no message, or too large to be one */
  *take(piece: Buffer): Generator<Buffer> {
    this.#pieces.push(piece);
    this.#size += piece.length;
    if (this.#size < this.#wanted) return;
    let rest = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces);
    this.#wanted = HEADER;
    while (rest.length >= HEADER) {
      if (rest.readUInt8(0) !== 0)
        throw new StatusError(Code.Internal, 'the daemon has sent a compressed message, which nobody has asked for');
      const length = rest.readUInt32BE(1);
      if (length > MAX_MESSAGE) throw tooLarge('received', length);
      this.#wanted = HEADER + length;
      if (rest.length < this.#wanted) break;
      yield rest.subarray(HEADER, this.#wanted);
      rest = rest.subarray(this.#wanted);
      this.#wanted = HEADER;
    }
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
  }

  /** Whether the last message has come to its end. */
  get isWhole(): boolean {
    return this.#size === 0;
  }
}

function tooLarge(what: string, length: number): StatusError {
  return new StatusError(
    Code.ResourceExhausted,
    `a message of ${length} bytes cannot be ${what}: it may have ${MAX_MESSAGE} at most`,
  );
}
