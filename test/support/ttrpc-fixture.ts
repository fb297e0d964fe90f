/** A service to call, and servers and clients for it in a directory of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  connect,
  defineService,
  method,
  Server,
  type Client,
  type ConnectOptions,
  type Handlers,
  type MessageType,
  type ServerOptions,
  type ServiceClient,
} from '../../src/ttrpc/index.js';

/** Messages that are their own bytes. */
export const Bytes: MessageType<Uint8Array> = {
  encode: (bytes) => ({ finish: () => bytes }),
  decode: (bytes) => bytes,
};

/** Messages that are their own text; `\xff` doesn't decode. */
export const Text: MessageType<string> = {
  encode: (text) => {
    if (typeof text !== 'string') throw new TypeError('not a text');
    return { finish: () => Buffer.from(text) };
  },
  decode: (bytes) => {
    if (bytes.includes(0xff)) throw new RangeError('not a text');
    return Buffer.from(bytes).toString();
  },
};

export const Echo = defineService('test.Echo', {
  Say: method.unary(Text, Text),
  Bytes: method.unary(Bytes, Bytes),
  List: method.serverStream(Text, Text),
  Join: method.clientStream(Text, Text),
  Chat: method.bidi(Text, Text),
});

export type EchoHandlers = Handlers<typeof Echo>;

/** The path of a socket that doesn't exist yet, in a directory that is removed after the test. */
export function socketPath(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-ttrpc-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 's');
}

export interface Running {
  readonly path: string;
  readonly server: Server;
  readonly client: Client;
  readonly echo: ServiceClient<typeof Echo>;
}

/** A server with these handlers, and a client of it. */
export async function running(
  t: TestContext,
  handlers: EchoHandlers,
  options: { server?: ServerOptions; client?: ConnectOptions } = {},
): Promise<Running> {
  const path = socketPath(t);
  const server = new Server({ authorize: 'none', ...options.server }).add(Echo, handlers);
  const listener = createServer();
  await server.serve(listener);
  await new Promise<void>((resolve) => {
    listener.listen(path, resolve);
  });
  const client = await connect(path, options.client);
  t.after(() => {
    client.close();
    server.close();
  });
  return { path, server, client, echo: client.service(Echo) };
}

/** Waits until something holds; the test's own time limit is the only one. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** A promise and what settles it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((keep, fail) => {
    resolve = keep;
    reject = fail;
  });
  return { promise, resolve, reject };
}

/** Everything of a stream. */
export async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}
