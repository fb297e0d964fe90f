/** criu's image files: eight bytes that say what they are, then protobuf messages, each after its length. */
import { readFileSync, writeFileSync } from 'node:fs';

const MAGIC_BYTES = 8;
const enum Wire {
  Varint = 0,
  Fixed64 = 1,
  Bytes = 2,
  Fixed32 = 5,
}

/** One field of a message as it was on the wire, so that what is not understood is passed on. */
interface Field {
  number: number;
  raw: Uint8Array;
  /** Of a number, its low 32 bits; criu's ids and flags have no more. */
  value: number;
  /** Of text and embedded messages. */
  bytes: Buffer;
}

/** A protobuf message, changed in place. */
export class Message {
  readonly #fields: Field[];

  constructor(fields: Field[] = []) {
    this.#fields = fields;
  }

  static parse(bytes: Buffer): Message {
    const fields: Field[] = [];
    for (let at = 0; at < bytes.length;) {
      const start = at;
      const varint = (): number => {
        let value = 0;
        for (let shift = 0; ; shift += 7) {
          const byte = bytes[at++];
          if (byte === undefined || shift > 63) throw new Error('a message of the image is cut short');
          if (shift < 32) value = (value | ((byte & 0x7f) << shift)) >>> 0;
          if (byte < 0x80) return value;
        }
      };
      const tag = varint();
      let value = 0;
      let end = at;
      switch ((tag & 7) as Wire) {
        case Wire.Varint:
          value = varint();
          end = at;
          break;
        case Wire.Fixed64:
          end = at + 8;
          break;
        case Wire.Fixed32:
          end = at + 4;
          break;
        case Wire.Bytes: {
          const length = varint();
          end = at + length;
          break;
        }
        default:
          throw new Error(`a message of the image has a field of unknown kind ${tag & 7}`);
      }
      if (end > bytes.length) throw new Error('a message of the image is cut short');
      fields.push({ number: tag >>> 3, raw: bytes.subarray(start, end), value, bytes: bytes.subarray(at, end) });
      at = end;
    }
    return new Message(fields);
  }

  number(field: number): number | undefined {
    return this.#find(field)?.value;
  }
  bytes(field: number): Buffer | undefined {
    return this.#find(field)?.bytes;
  }

  message(field: number): Message | undefined {
    const bytes = this.bytes(field);
    return bytes && Message.parse(bytes);
  }

  /** Sets a number, in its place if it is there already. */
  setNumber(field: number, value: number): this {
    return this.#set({
      number: field,
      raw: Buffer.concat([varint(field << 3), varint(value)]),
      value,
      bytes: Buffer.alloc(0),
    });
  }

  setBytes(field: number, bytes: Uint8Array): this {
    return this.#set({
      number: field,
      raw: Buffer.concat([varint((field << 3) | Wire.Bytes), varint(bytes.length), bytes]),
      value: 0,
      bytes: Buffer.from(bytes),
    });
  }

  encode(): Buffer {
    return Buffer.concat(this.#fields.map(({ raw }) => raw));
  }

  #find(field: number): Field | undefined {
    return this.#fields.find(({ number }) => number === field);
  }

  #set(field: Field): this {
    const at = this.#fields.findIndex(({ number }) => number === field.number);
    if (at < 0) this.#fields.push(field);
    else this.#fields[at] = field;
    return this;
  }
}

/** The messages of an image file that has nothing but messages in it. */
export function readImage(file: string): Message[] {
  const bytes = readFileSync(file);
  const messages: Message[] = [];
  for (let at = MAGIC_BYTES; at < bytes.length;) {
    const end = at + 4 + (at + 4 <= bytes.length ? bytes.readUInt32LE(at) : Infinity);
    if (end > bytes.length) throw new Error(`${file} is cut short`);
    messages.push(Message.parse(bytes.subarray(at + 4, end)));
    at = end;
  }
  return messages;
}

/** Replaces the messages of an image file; what it is stays. */
export function writeImage(file: string, messages: readonly Message[]): void {
  const magic = readFileSync(file).subarray(0, MAGIC_BYTES);
  const parts = messages.flatMap((message) => {
    const bytes = message.encode();
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  writeFileSync(file, Buffer.concat([magic, ...parts]));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
