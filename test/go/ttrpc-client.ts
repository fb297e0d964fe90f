/** The calls of test/go/ttrpc/steps.go, by our client: a line for each thing that it sees, in the same words. */
import assert from 'node:assert/strict';
import {
  Code,
  connect,
  defineService,
  method,
  TtrpcError,
  type CallOptions,
  type Client,
  type ServiceClient,
} from '../../src/ttrpc/index.js';
import { pattern, Peer, Text } from './ttrpc-server.js';

interface Connection {
  readonly path: string;
  readonly client: Client;
  readonly peer: ServiceClient<typeof Peer>;
}

const Nobody = defineService('hawser.test.Nobody', { Say: method.unary(Text, Text) });
const Missing = defineService(Peer.name, { Nobody: method.serverStream(Text, Text) });

async function open(path: string): Promise<Connection> {
  const client = await connect(path);
  return { path, client, peer: client.service(Peer) };
}

/** As Go quotes the texts of these calls. */
const quoted = (text: string): string => JSON.stringify(text).replace('\\u0000', '\\x00');
const list = (texts: readonly string[]): string => `[${texts.map(quoted).join(' ')}]`;

/** How a call ended: its error's code, text and details. */
function told(error: unknown): string {
  if (error === undefined) return 'ok';
  assert.ok(error instanceof TtrpcError);
  const name = Code[error.code] === undefined ? `Code(${error.code})` : error.codeName;
  const details = error.details.map(({ typeUrl, value }) => ` [${typeUrl} ${quoted(Text.decode(value))}]`);
  // The system's own reason may follow.
  const message = error.message.startsWith('ttrpc: closed') ? 'ttrpc: closed' : error.message;
  return `${name}: ${message}${details.join('')}`;
}

/** What a promise is kept with, or the error that it is broken with. */
async function outcome<T>(promise: Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

const ending = async (promise: Promise<unknown>): Promise<string> => told((await outcome(promise)).error);

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const { error } = await outcome(promise);
  return error instanceof TtrpcError ? error.codeName : 'OK';
}

/** A text that comes, and how its call ended: `TEXT ok`, or ` ERROR`. */
async function said(promise: Promise<string>): Promise<string> {
  const { value = '', error } = await outcome(promise);
  return `${value} ${told(error)}`;
}

/** The same, with the text quoted. */
async function saidQuoted(promise: Promise<string>): Promise<string> {
  const { value = '', error } = await outcome(promise);
  return `${quoted(value)} ${told(error)}`;
}

async function all<T>(messages: AsyncIterable<T>): Promise<{ texts: T[]; error?: unknown }> {
  const texts: T[] = [];
  try {
    for await (const text of messages) texts.push(text);
    return { texts };
  } catch (error) {
    return { texts, error };
  }
}

/** The next message; the end is an undefined one. */
async function next<T>(iterator: AsyncIterator<T>): Promise<T | undefined> {
  const result = await iterator.next();
  return result.done === true ? undefined : result.value;
}

/** Waits for a number of handlers that wait; the test's own time limit is the only one. */
async function until(path: string, count: string): Promise<void> {
  const { client, peer } = await open(path);
  while ((await peer.Waiting('')) !== count) await new Promise((resolve) => void setTimeout(resolve, 1));
  client.close();
}

/** Makes every call. `say` is given the lines. */
export async function call(path: string, say: (line: string) => void): Promise<void> {
  const connection = await open(path);
  const steps = [
    unaryCalls,
    errorsOf,
    metadataOf,
    deadlines,
    cancellation,
    sizes,
    many,
    listing,
    joining,
    chatting,
    leaving,
  ];
  for (const step of steps) await step(connection, say);
  connection.client.close();
}

type Step = (connection: Connection, say: (line: string) => void) => Promise<void>;

const unaryCalls: Step = async ({ client, peer }, say) => {
  for (const text of ['hello', '', 'äöü €\x00\n']) say(`say ${quoted(text)}: ${await saidQuoted(peer.Say(text))}`);
  say(`no such method: ${await ending(peer.Nobody(''))}`);
  say(`no such service: ${await ending(client.service(Nobody).Say(''))}`);
};

const errorsOf: Step = async ({ peer }, say) => {
  for (let code = 1; code <= 17; code++) say(`fail: ${await ending(peer.Fail(String(code)))}`);
  for (const text of ['5 one', '9 one two', 'in words', ''])
    say(`fail ${quoted(text)}: ${await ending(peer.Fail(text))}`);
};

const metadataOf: Step = async ({ peer }, say) => {
  const metadata = { a: ['1', '2'], Upper: '3', empty: '' };
  say(`metadata: ${await said(peer.Words('a upper UPPER empty none', { metadata }))}`);
  say(`no metadata: ${await said(peer.Words('a'))}`);
};

const deadlines: Step = async ({ path, peer }, say) => {
  say(`without a deadline: ${await said(peer.Left(''))}`);
  const left = Number(await peer.Left('', { timeoutMs: 3_600_000 }));
  say(`within an hour: ${left > 0 && left <= 3_600_000} ok`);
  say(`too late: ${await ending(peer.Wait('', { timeoutMs: 50 }))}`);
  await until(path, '0');
  say("the handler's time is over too");
  const stream = peer.Chat({ timeoutMs: 50 });
  say(`too late for a stream: ${await ending(next(stream[Symbol.asyncIterator]()))}`);
  // Our client's streams tell the server their deadline: the handler ends by itself.
  await until(path, '0');
};

const cancellation: Step = async ({ path, peer }, say) => {
  const { client, peer: other } = await open(path);
  const withSignal = (): { options: CallOptions; controller: AbortController } => {
    const controller = new AbortController();
    return { options: { signal: controller.signal }, controller };
  };
  const one = withSignal();
  const cancelled = ending(other.Wait('', one.options));
  await until(path, '1');
  one.controller.abort();
  say(`cancelled: ${await cancelled}`);
  const two = withSignal();
  const stream = ending(next(other.Chat(two.options)[Symbol.asyncIterator]()));
  await until(path, '2');
  two.controller.abort();
  say(`cancelled stream: ${await stream}`);
  say(`its connection: ${await said(other.Say('still here'))}`);
  say(`handlers that have not been told: ${await said(peer.Waiting(''))}`);
  const closed = ending(other.Wait(''));
  await until(path, '3');
  client.close();
  say(`closed: ${await closed}`);
  await until(path, '0');
  say('handlers end with their connection');
  say(`after the end: ${await ending(other.Say(''))}`);
};

const sizes: Step = async ({ peer }, say) => {
  // With its envelope the last one is as long as a message may be.
  for (const size of [0, 1, 127, 128, 4085, 65_536, 1 << 20, (4 << 20) - 60]) {
    const data = pattern(size, size);
    const { value, error } = await outcome(peer.Bytes(data));
    say(`${size} bytes: ${value !== undefined && Buffer.compare(data, value) === 0} ${told(error)}`);
  }
  for (const size of [(4 << 20) - 10, 4 << 20, 5 << 20])
    say(`${size} bytes: ${await codeOf(peer.Bytes(new Uint8Array(size)))}`);
  say(`afterwards: ${await said(peer.Say('still here'))}`);
};

const many: Step = async ({ peer }, say) => {
  const calls = Array.from({ length: 1000 }, async (_, i) => {
    const text = `${(i * 7) % 20} ${i} ${'x'.repeat((i * 13) % 5000)}`;
    return (await peer.Late(text)) === text;
  });
  const streams = Array.from({ length: 20 }, async (_, i) => {
    const stream = peer.Chat();
    const answers = stream[Symbol.asyncIterator]();
    for (let j = 0; j < 50; j++) {
      await stream.send(`${i} ${j}`);
      if ((await next(answers)) !== `${i} ${j}!`) return false;
    }
    await stream.finish();
    return (await next(answers)) === undefined;
  });
  const right = (await Promise.all([...calls, ...streams])).filter(Boolean).length;
  say(`of 1000 calls and 20 streams at once: ${right}`);
};

const listing: Step = async ({ client, peer }, say) => {
  for (const request of ['0', '1', '3', '3 9 detail', '0 5', '2 plain', '3000']) {
    const { texts, error } = await all(peer.List(request));
    const what = texts.length > 3 ? `${texts.length}, the last ${texts.at(-1)}` : list(texts);
    say(`list ${request}: ${what} ${told(error)}`);
  }
  for (const size of [0, 1 << 20, (4 << 20) - 5]) {
    const { texts, error } = await all(peer.Blocks(String(size)));
    const right = texts.filter((block, i) => Buffer.compare(block, pattern(size, i)) === 0).length;
    say(`blocks of ${size}: ${right}, ${error === undefined ? 'the end' : told(error)}`);
  }
  for await (const text of peer.List('20')) {
    say(`the first of 20: ${text} ok`);
    break;
  }
  say(`the rest is not read: ${await said(peer.Say('still here'))}`);
  say(`no such stream: ${await ending(next(client.service(Missing).Nobody('')))}`);
};

const joining: Step = async ({ peer }, say) => {
  const many = 'many,'.repeat(3000).split(',');
  for (const texts of [[], [''], ['one', '', 'three'], many, ['x'.repeat((4 << 20) - 5), 'y']]) {
    const stream = peer.Join();
    for (const text of texts) await stream.send(text);
    say(`join: ${await said(stream.finish())}`);
    say(`send afterwards: ${await ending(stream.send('late'))}`);
  }
  for (const text of ['fail 9 detail', 'fail in words']) {
    const stream = peer.Join();
    say(`send: ${await ending(stream.send(text))}`);
    say(`join: ${await ending(stream.finish())}`);
  }
  const stream = peer.Join();
  say(`send too much: ${await codeOf(stream.send('x'.repeat(4 << 20)))}`);
  say(`join: ${await said(stream.finish())}`);
};

const chatting: Step = async ({ path, peer }, say) => {
  const stream = peer.Chat();
  const answers = stream[Symbol.asyncIterator]();
  for (const text of ['one', '', 'three']) {
    say(`send: ${await ending(stream.send(text))}`);
    say(`chat: ${quoted((await next(answers)) ?? 'no more')} ok`);
  }
  await stream.finish();
  const rest = await all(stream);
  say(`rest: ${list(rest.texts)} ${told(rest.error)}`);
  say(`after the end: ${(await next(answers)) ?? 'the end'}`);

  // More at once than either side keeps for a reader.
  const busy = peer.Chat();
  const sending = (async () => {
    for (let i = 0; i < 2000; i++) await busy.send(String(i));
    await busy.finish();
  })();
  const { texts, error } = await all(busy);
  await sending;
  say(`of 2000 in order: ${texts.filter((text, i) => text === `${i}!`).length} ${told(error)}`);

  for (const text of ['fail 9 detail', 'fail in words', 'stop']) {
    const stream = peer.Chat();
    say(`send: ${await ending(stream.send('before'))}`);
    say(`send: ${await ending(stream.send(text))}`);
    const { texts, error } = await all(stream);
    say(`chat: ${list(texts)} ${told(error)}`);
  }
  await until(path, '0');
};

/** Makes the server go while calls are under way. */
const leaving: Step = async ({ path, peer }, say) => {
  const over = ending(next(peer.Chat()[Symbol.asyncIterator]()));
  const ended = ending(peer.Wait(''));
  await until(path, '2');
  const other = await open(path);
  // Its answer may or may not be sent before the end.
  await outcome(other.peer.Leave(''));
  other.client.close();
  say(`the server is gone, a call: ${await ended}`);
  say(`the server is gone, a stream: ${await over}`);
};
