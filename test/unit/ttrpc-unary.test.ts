import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Code,
  connect,
  defineService,
  method,
  TtrpcError,
  type CallContext,
  type ClientInterceptor,
  type ServerInterceptor,
} from '../../src/ttrpc/index.js';
import { deferred, Echo, running, socketPath, Text, until } from '../support/ttrpc-fixture.js';
import { RawPeer, rawFrame } from '../support/ttrpc-raw.js';

test('a call is answered, by a value or by a promise of one', async (t) => {
  const { echo } = await running(t, { Say: (text) => (text === 'later' ? Promise.resolve('later!') : `${text}!`) });
  assert.equal(await echo.Say('hello'), 'hello!');
  assert.equal(await echo.Say('later'), 'later!');
  assert.equal(await echo.Say(''), '!');
});

test('calls of one connection run at the same time, and their replies come in any order', async (t) => {
  const first = deferred<string>();
  const { echo, client } = await running(t, { Say: (text) => (text === 'first' ? first.promise : text) });
  const slow = echo.Say('first');
  assert.equal(await echo.Say('second'), 'second');
  first.resolve('first');
  assert.equal(await slow, 'first');
  assert.equal(client.pendingCalls, 0);
});

test('an error keeps its code, text and details', async (t) => {
  const details = [
    { typeUrl: 'x.y/Z', value: Buffer.from([1, 2]) },
    { typeUrl: 'empty', value: Buffer.alloc(0) },
  ];
  const { echo } = await running(t, {
    Say: () => {
      throw new TtrpcError(Code.AlreadyExists, 'task abc: already exists', { details });
    },
    Bytes: () => Promise.reject(Object.assign(new Error('no such thing'), { code: 'ENOENT' })),
  });
  await assert.rejects(echo.Say(''), (error) => {
    assert.ok(error instanceof TtrpcError);
    assert.deepEqual([error.code, error.message], [Code.AlreadyExists, 'task abc: already exists']);
    assert.deepEqual(
      error.details.map((d) => [d.typeUrl, Buffer.from(d.value)]),
      details.map((d) => [d.typeUrl, d.value]),
    );
    return true;
  });
  await assert.rejects(echo.Bytes(Buffer.alloc(0)), { code: Code.NotFound, message: 'no such thing' });
});

test('a reply that cannot be encoded is an Internal error', async (t) => {
  const { echo } = await running(t, { Say: () => undefined as unknown as string });
  await assert.rejects(echo.Say(''), { code: Code.Internal, message: /^ttrpc: error marshalling payload: / });
});

test('a request that cannot be encoded rejects', async (t) => {
  const { echo, client } = await running(t, {});
  await assert.rejects(echo.Say(5 as unknown as string), {
    code: Code.InvalidArgument,
    message: /^ttrpc: error marshalling request: /,
  });
  assert.equal(client.pendingCalls, 0);
});

test("metadata travels, the client's own with every call", async (t) => {
  const seen: [string, string][][] = [];
  const { echo } = await running(
    t,
    {
      Say: (_text, { metadata }) => {
        seen.push([...metadata]);
        return '';
      },
    },
    { client: { metadata: { Namespace: 'default', Trace: 'none' } } },
  );
  await echo.Say('');
  await echo.Say('', { metadata: { trace: ['1', '2'], more: 'x' } });
  assert.deepEqual(seen, [
    [
      ['namespace', 'default'],
      ['trace', 'none'],
    ],
    [
      ['namespace', 'default'],
      ['trace', '1'],
      ['trace', '2'],
      ['more', 'x'],
    ],
  ]);
});

test('a handler knows its call', async (t) => {
  let context: CallContext | undefined;
  const { echo } = await running(
    t,
    {
      Say: (_text, given) => {
        context = given;
        given.connection.state.set('seen', true);
        return '';
      },
    },
    { server: { authorize: 'same-user' } },
  );
  const before = Date.now();
  await echo.Say('', { timeoutMs: 60_000 });
  assert.ok(context);
  assert.deepEqual([context.service, context.method, context.connection.id], ['test.Echo', 'Say', 1]);
  assert.ok(Math.abs(context.deadline! - before - 60_000) < 10_000);
  assert.deepEqual(context.peer, { pid: process.pid, uid: process.geteuid?.(), gid: process.getegid?.() });
  assert.equal(context.connection.state.get('seen'), true);
  await echo.Say('');
  assert.equal(context.deadline, undefined);
});

test('unknown services and methods are Unimplemented, by these texts', async (t) => {
  const { client } = await running(t, { Say: (text) => text });
  const call = (service: string, name: string): Promise<string> =>
    client.call(service, name, method.unary(Text, Text), '');
  await assert.rejects(call('other.Service', 'Say'), { code: Code.Unimplemented, message: 'service other.Service' });
  await assert.rejects(call('', ''), { code: Code.Unimplemented, message: 'service ' });
  for (const name of ['Bytes', 'say', '__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    await assert.rejects(call('test.Echo', name), { code: Code.Unimplemented, message: `method ${name}` });
    await assert.rejects(call(name, 'Say'), { code: Code.Unimplemented, message: `service ${name}` });
  }
});

test('methods named like what every object has are methods like others', async (t) => {
  const odd = defineService('odd', { constructor: method.unary(Text, Text), toString: method.unary(Text, Text) });
  const { server, client } = await running(t, {});
  server.add(odd, { constructor: (text: string) => `made ${text}` });
  assert.equal(await client.service(odd).constructor('x'), 'made x');
  await assert.rejects(client.service(odd).toString('x'), { code: Code.Unimplemented, message: 'method toString' });
});

test('one set of handlers, with a class and its methods, answers two services', async (t) => {
  class Handlers {
    readonly greeting = 'hello';
    Say(text: string, { service }: CallContext): string {
      return `${this.greeting} ${text} from ${service}`;
    }
  }
  const { server, client, echo } = await running(t, new Handlers());
  const newer = defineService('test.Echo2', Echo.methods);
  server.add(newer, new Handlers());
  assert.equal(await echo.Say('you'), 'hello you from test.Echo');
  assert.equal(await client.service(newer).Say('you'), 'hello you from test.Echo2');
  assert.throws(() => server.add(newer, new Handlers()), /test\.Echo2\/Say has a handler already/);
});

test('a deadline ends the call on both sides', async (t) => {
  const reason = deferred<unknown>();
  const { echo, server, client } = await running(t, {
    Say: (_text, { signal }) =>
      new Promise<string>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reason.resolve(signal.reason);
          reject(signal.reason as Error);
        });
      }),
  });
  await assert.rejects(echo.Say('', { timeoutMs: 20 }), {
    code: Code.DeadlineExceeded,
    message: 'context deadline exceeded',
  });
  assert.equal(((await reason.promise) as Error).name, 'TimeoutError');
  await until(() => server.activeCalls === 0);
  assert.equal(client.pendingCalls, 0);
});

test('a deadline that has passed already sends nothing', async (t) => {
  const path = socketPath(t);
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(path);
  t.after(() => {
    client.close();
    stop();
  });
  const peer = await accepted;
  for (const timeoutMs of [0, -5]) {
    await assert.rejects(client.service(Echo).Say('', { timeoutMs }), { code: Code.DeadlineExceeded });
  }
  const answer = client.service(Echo).Say('x', { timeoutMs: 2 ** 40 });
  const { streamId, request } = await peer.request();
  assert.equal(streamId, 1);
  const nanos = typeof request.timeoutNano === 'number' ? request.timeoutNano : request.timeoutNano.toNumber();
  assert.ok(nanos > 2 ** 39 * 1e6 && nanos <= 2 ** 40 * 1e6);
  peer.write(rawFrame(1, 2, 0, Buffer.from([0x12, 1, 0x79])));
  assert.equal(await answer, 'y');
});

test('aborting gives up the call; a later reply is ignored', async (t) => {
  const path = socketPath(t);
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(path);
  t.after(() => {
    client.close();
    stop();
  });
  const peer = await accepted;
  const reason = new Error('enough');
  const controller = new AbortController();
  const given = client.service(Echo).Say('x', { signal: controller.signal });
  await peer.request();
  controller.abort(reason);
  await assert.rejects(given, { code: Code.Canceled, message: 'context canceled', cause: reason });
  await assert.rejects(client.service(Echo).Say('x', { signal: controller.signal }), { code: Code.Canceled });
  await assert.rejects(client.service(Echo).Say('x', { signal: AbortSignal.timeout(1) }), {
    code: Code.DeadlineExceeded,
  });
  peer.write(rawFrame(1, 2, 0));
  await peer.request();
  const next = client.service(Echo).Say('x');
  assert.equal((await peer.request()).streamId, 5);
  peer.write(rawFrame(5, 2, 0, Buffer.from([0x12, 1, 0x7a])));
  assert.equal(await next, 'z');
  assert.equal(client.pendingCalls, 0);
});

test('nothing of a call is left when it is over', async (t) => {
  const { echo } = await running(t, { Say: (text) => text });
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  t.mock.method(signal, 'addEventListener', (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  });
  t.mock.method(signal, 'removeEventListener', (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  });
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const calls = Array.from({ length: 50 }, () => echo.Say('x', { timeoutMs: 1e6, signal }));
  assert.equal(listeners, 50);
  assert.ok(timers() >= before + 1);
  await Promise.all(calls);
  assert.equal(listeners, 0);
  assert.equal(timers(), before);
});

test('interceptors of the client see calls in order, and may change or answer them', async (t) => {
  const log: string[] = [];
  const logging =
    (name: string): ClientInterceptor =>
    async (call, next) => {
      log.push(`${name} ${call.service}/${call.method} ${String(call.request)}`);
      call.metadata.append('via', name);
      const reply = await next(call);
      log.push(`${name} ${String(reply)}`);
      return reply;
    };
  const cached: ClientInterceptor = (call, next) =>
    call.request === 'cached' ? Promise.resolve('from memory') : next({ ...call, request: `${String(call.request)}?` });
  const { echo } = await running(
    t,
    { Say: (text, { metadata }) => `${text} ${metadata.getAll('via').join()}` },
    {
      client: { interceptors: [logging('a'), logging('b'), cached] },
    },
  );
  assert.equal(await echo.Say('x'), 'x? a,b');
  assert.equal(await echo.Say('cached'), 'from memory');
  assert.deepEqual(log.slice(0, 4), ['a test.Echo/Say x', 'b test.Echo/Say x', 'b x? a,b', 'a x? a,b']);
});

test('interceptors of the server see calls in order, and may refuse them', async (t) => {
  const log: unknown[] = [];
  const logging: ServerInterceptor = async (context, request, next) => {
    log.push([context.method, request]);
    const result = await next();
    log.push([context.method, result]);
    return result;
  };
  const guard: ServerInterceptor = ({ metadata }, _request, next) => {
    if (metadata.get('token') !== 'good') throw new TtrpcError(Code.Unauthenticated, 'who are you?');
    return next();
  };
  const { echo } = await running(
    t,
    { Say: (text) => text, List: (text) => [text, text] },
    { server: { interceptors: [logging, guard] } },
  );
  const metadata = { token: 'good' };
  await assert.rejects(echo.Say('x'), { code: Code.Unauthenticated, message: 'who are you?' });
  assert.equal(await echo.Say('y', { metadata }), 'y');
  const all: string[] = [];
  for await (const text of echo.List('z', { metadata })) all.push(text);
  assert.deepEqual(all, ['z', 'z']);
  assert.deepEqual(log, [
    ['Say', 'x'],
    ['Say', 'y'],
    ['Say', 'y'],
    ['List', 'z'],
    ['List', undefined],
  ]);
});
