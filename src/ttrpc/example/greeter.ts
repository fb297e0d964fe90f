/**
 * A service in one file: its definition with a codec of its own, a server, and a client.
 *
 *     node --import tsx src/ttrpc/example/greeter.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Code, connect, defineService, method, Server, TtrpcError, type MessageType } from '../index.js';

/** Any type with `encode` and `decode` will do; classes that protobufjs generates have them. */
function json<T>(): MessageType<T> {
  return {
    encode: (message) => ({ finish: () => Buffer.from(JSON.stringify(message)) }),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as T,
  };
}

export const Greeter = defineService('example.Greeter', {
  Greet: method.unary(json<{ name: string }>(), json<{ text: string }>()),
  Count: method.serverStream(json<{ to: number }>(), json<{ number: number }>()),
});

/** Serves, calls, and gives back what was said. */
export async function main(): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'greeter-'));
  const path = join(dir, 'socket');

  const server = new Server({ authorize: 'none' }).add(Greeter, {
    Greet: ({ name }) => {
      if (name === '') throw new TtrpcError(Code.InvalidArgument, 'nobody to greet');
      return { text: `hello, ${name}` };
    },
    Count: function* ({ to }) {
      for (let number = 1; number <= to; number++) yield { number };
    },
  });
  const listener = createServer();
  await server.serve(listener);
  await new Promise<void>((resolve) => {
    listener.listen(path, resolve);
  });

  const client = await connect(path, { timeoutMs: 5000 });
  const greeter = client.service(Greeter);
  const said: string[] = [];
  try {
    said.push((await greeter.Greet({ name: 'sailor' }, { timeoutMs: 1000 })).text);
    for await (const { number } of greeter.Count({ to: 3 })) said.push(String(number));
    await greeter.Greet({ name: '' });
  } catch (error) {
    said.push(TtrpcError.from(error).codeName);
  } finally {
    client.close();
    await server.shutdown();
    rmSync(dir, { recursive: true });
  }
  return said;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log((await main()).join('\n'));
