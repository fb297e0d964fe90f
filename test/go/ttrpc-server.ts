/** The service of test/go/ttrpc/server.go, on our server. */
import { createServer } from 'node:net';
import protobuf from 'protobufjs/minimal.js';
import {
  defineService,
  method,
  Server,
  TtrpcError,
  type CallContext,
  type Handlers,
  type MessageType,
} from '../../src/ttrpc/index.js';

/** google.protobuf.StringValue. */
export const Text: MessageType<string> = {
  encode: (text) => (text === '' ? protobuf.Writer.create() : protobuf.Writer.create().uint32(10).string(text)),
  decode: (bytes) => {
    const reader = protobuf.Reader.create(bytes);
    return reader.len > 0 && reader.uint32() === 10 ? reader.string() : '';
  },
};

/** google.protobuf.BytesValue. */
export const Blob: MessageType<Uint8Array> = {
  encode: (bytes) => (bytes.length === 0 ? protobuf.Writer.create() : protobuf.Writer.create().uint32(10).bytes(bytes)),
  decode: (bytes) => {
    const reader = protobuf.Reader.create(bytes);
    return reader.len > 0 && reader.uint32() === 10 ? reader.bytes() : new Uint8Array();
  },
};

/** How an error names a text among its details. */
const TEXT_URL = 'type.googleapis.com/google.protobuf.StringValue';

export const Peer = defineService('hawser.test.Peer', {
  Say: method.unary(Text, Text),
  Late: method.unary(Text, Text),
  Fail: method.unary(Text, Text),
  Words: method.unary(Text, Text),
  Left: method.unary(Text, Text),
  Wait: method.unary(Text, Text),
  Waiting: method.unary(Text, Text),
  Bytes: method.unary(Blob, Blob),
  Nobody: method.unary(Text, Text),
  Leave: method.unary(Text, Text),
  List: method.serverStream(Text, Text),
  Blocks: method.serverStream(Text, Blob),
  Join: method.clientStream(Text, Text),
  Chat: method.bidi(Text, Text),
});

/** As many bytes, which no other seed and no shift gives; the same as the Go program's. */
export function pattern(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8) + seed * 7) % 251;
  return bytes;
}

/** Throws the error that a text asks for: `CODE DETAILS`, or anything for an error that is no status. */
function failure(text: string): never {
  const [code = '', ...details] = text.split(' ');
  if (!/^\d+$/.test(code)) throw new Error(text);
  throw new TtrpcError(Number(code), `failed with ${code}`, {
    details: details.map((detail) => ({ typeUrl: TEXT_URL, value: Text.encode(detail).finish() })),
  });
}

/** What a message of a stream asks for instead of an answer. */
function heed(text: string): void {
  if (text.startsWith('fail ')) failure(text.slice('fail '.length));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

const ended = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const over = (): void => reject(signal.reason as Error);
    if (signal.aborted) over();
    else signal.addEventListener('abort', over, { once: true });
  });

function handlers(leave: () => void): Handlers<typeof Peer> {
  let waiting = 0;
  return {
    Say: (text) => text,
    Late: async (text) => {
      await sleep(Number(text.split(' ')[0]));
      return text;
    },
    Fail: failure,
    Words: (keys, { metadata }) =>
      keys
        .split(' ')
        .map((key) => `${key}=${metadata.getAll(key).join()}(${metadata.has(key)})`)
        .join(' '),
    Left: (_text, { deadline }) => (deadline === undefined ? 'none' : String(Math.floor(deadline - Date.now()))),
    Wait: async (_text, { signal }: CallContext) => {
      waiting++;
      try {
        return await ended(signal);
      } finally {
        waiting--;
      }
    },
    Waiting: () => String(waiting),
    Bytes: (bytes) => bytes,
    Leave: () => {
      leave();
      return '';
    },
    List: function* (request) {
      const [count, ...rest] = request.split(' ');
      for (let i = 0; i < Number(count); i++) yield String(i);
      if (rest.length > 0) failure(rest.join(' '));
    },
    Blocks: function* (size) {
      for (let i = 0; i < 8; i++) yield pattern(Number(size), i);
    },
    Join: async (texts) => {
      let count = 0;
      let size = 0;
      for await (const text of texts) {
        heed(text);
        count++;
        size += Buffer.byteLength(text);
      }
      return `${count} messages, ${size} bytes`;
    },
    Chat: async function* (texts) {
      waiting++;
      try {
        for await (const text of texts) {
          if (text === 'stop') return;
          heed(text);
          yield `${text}!`;
        }
      } finally {
        waiting--;
      }
    },
  };
}

/** Serves on a socket. Gives what ends it. */
export async function serve(path: string): Promise<() => void> {
  const server: Server = new Server().add(
    Peer,
    handlers(() => server.close()),
  );
  const listener = createServer();
  await server.serve(listener);
  await new Promise<void>((resolve) => {
    listener.listen(path, resolve);
  });
  return () => server.close();
}
