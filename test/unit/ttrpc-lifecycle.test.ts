import assert from 'node:assert/strict';
import { createServer, connect as connectSocket } from 'node:net';
import { test } from 'node:test';
import { Client, Code, connect, Server } from '../../src/ttrpc/index.js';
import { deferred, Echo, running, socketPath, until } from '../support/ttrpc-fixture.js';
import { RawPeer } from '../support/ttrpc-raw.js';

const CLOSED = { code: Code.Unavailable, message: /^ttrpc: closed/ };

test('when the server goes, pending and later calls fail', async (t) => {
  const { echo, client, server } = await running(t, { Say: () => new Promise<string>(() => undefined) });
  const calls = [echo.Say('1'), echo.Say('2')];
  await until(() => server.activeCalls === 2);
  server.close();
  for (const call of calls) await assert.rejects(call, CLOSED);
  await client.closed;
  await assert.rejects(echo.Say('3'), CLOSED);
  await assert.rejects(echo.List('4').next(), CLOSED);
  assert.equal(client.pendingCalls, 0);
});

test('when the client closes, its calls fail and their handlers are told', async (t) => {
  const reason = deferred<unknown>();
  const finish = deferred<string>();
  const { echo, client, server } = await running(t, {
    Say: (_text, { signal }) => {
      signal.addEventListener('abort', () => reason.resolve(signal.reason));
      return finish.promise;
    },
  });
  const call = echo.Say('x');
  await until(() => server.activeCalls === 1);
  client.close();
  await assert.rejects(call, { code: Code.Unavailable, message: 'ttrpc: closed' });
  assert.equal(((await reason.promise) as Error).name, 'AbortError');
  assert.equal(server.activeCalls, 1, 'the handler still runs');
  assert.equal(server.connections, 0);
  finish.resolve('to nobody');
  await until(() => server.activeCalls === 0);
});

test('a signal that is first read after the peer has gone is aborted', async (t) => {
  const started = deferred<void>();
  const go = deferred<void>();
  const seen = deferred<boolean>();
  const { echo, client, server } = await running(t, {
    Say: async (_text, context) => {
      started.resolve();
      await go.promise;
      seen.resolve(context.signal.aborted);
      return '';
    },
  });
  const call = echo.Say('x');
  await started.promise;
  client.close();
  await assert.rejects(call, CLOSED);
  await until(() => server.connections === 0);
  go.resolve();
  assert.equal(await seen.promise, true);
});

test("the end of one connection is none of another's business", async (t) => {
  const aborted: string[] = [];
  const finish = deferred<string>();
  const { echo, path, server } = await running(t, {
    Say: (text, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(text));
      return finish.promise;
    },
  });
  const other = await connect(path);
  const kept = echo.Say('kept');
  const lost = other.service(Echo).Say('lost');
  await until(() => server.activeCalls === 2);
  other.close();
  await assert.rejects(lost, CLOSED);
  await until(() => aborted.length === 1);
  finish.resolve('here');
  assert.equal(await kept, 'here');
  assert.deepEqual(aborted, ['lost']);
});

test('calls that are being handled can be listed', async (t) => {
  const finish = deferred<string>();
  const { echo, server } = await running(t, { Say: () => finish.promise }, { server: { authorize: 'same-user' } });
  const call = echo.Say('x');
  await until(() => server.activeCalls === 1);
  const [active] = server.calls();
  assert.ok(active);
  const { service, method, streamId, connectionId, peer } = active;
  assert.deepEqual([service, method, streamId, connectionId, peer?.pid], ['test.Echo', 'Say', 1, 1, process.pid]);
  assert.ok(Math.abs(active.started - Date.now()) < 60_000);
  JSON.stringify(server.calls());
  finish.resolve('');
  await call;
  assert.deepEqual(server.calls(), []);
});

test('shutdown closes idle connections and lets busy ones finish', async (t) => {
  const finish = deferred<string>();
  const { echo, client, server, path } = await running(t, { Say: () => finish.promise });
  const idle = await connect(path);
  const call = echo.Say('x');
  await until(() => server.activeCalls === 1);
  let over = false;
  const shutdown = server.shutdown().then(() => {
    over = true;
  });
  await idle.closed;
  await assert.rejects(connect(path), { code: Code.Unavailable });
  assert.equal(over, false);
  finish.resolve('x'.repeat(3 << 20));
  assert.equal((await call).length, 3 << 20, 'the reply is flushed');
  await client.closed;
  await shutdown;
  assert.equal(server.connections, 0);
  await server.shutdown();
});

test('shutdown closes what is still busy after the time it was given', async (t) => {
  const { echo, server } = await running(t, { Say: () => new Promise<string>(() => undefined) });
  const call = assert.rejects(echo.Say('x'), CLOSED);
  await until(() => server.activeCalls === 1);
  await server.shutdown({ graceMs: 10 });
  await call;
});

test('a handler may shut its server down, and is answered', async (t) => {
  const done = deferred<void>();
  const { echo, server } = await running(t, {
    Say: (text) => {
      server.shutdown().then(done.resolve, done.reject);
      return text;
    },
  });
  assert.equal(await echo.Say('bye'), 'bye');
  await done.promise;
});

test('peers that may not connect are hung up on without a word', async (t) => {
  const { client, echo } = await running(t, { Say: (text) => text }, { server: { authorize: () => false } });
  await assert.rejects(echo.Say('x'), CLOSED);
  await client.closed;
});

test('an authorize function that throws refuses, and is heard of', async (t) => {
  const errors: Error[] = [];
  const { client } = await running(
    t,
    {},
    {
      server: {
        authorize: () => {
          throw new Error('no idea');
        },
        onError: (error) => errors.push(error),
      },
    },
  );
  await client.closed;
  assert.deepEqual(
    errors.map((error) => error.message),
    ['no idea'],
  );
});

test('a server takes single sockets, and a client one that is still connecting', async (t) => {
  const path = socketPath(t);
  const server = new Server().add(Echo, { Say: (text) => text });
  const listener = createServer((socket) => {
    void server.accept(socket);
  });
  await new Promise<void>((resolve) => {
    listener.listen(path, resolve);
  });
  const client = new Client(connectSocket({ path }));
  t.after(() => {
    client.close();
    server.close();
    listener.close();
  });
  assert.equal(await client.service(Echo).Say('early'), 'early');
});

test('connecting fails with the reason', async (t) => {
  const path = socketPath(t);
  await assert.rejects(connect(path), (error: Error & { cause: NodeJS.ErrnoException }) => {
    assert.match(error.message, /^connect ENOENT /);
    assert.equal(error.cause.code, 'ENOENT');
    return true;
  });
  await assert.rejects(connect(path, { signal: AbortSignal.abort() }), { code: Code.Canceled });
  const { accepted, stop } = await RawPeer.listen(path);
  const client = await connect(`unix://${path}`, { timeoutMs: 1000, signal: new AbortController().signal });
  await accepted;
  client.close();
  stop();
});

test('a path that is in use is not hushed up by the server', async (t) => {
  const { path } = await running(t, {});
  const listener = createServer();
  const failed = new Promise((resolve) => listener.once('error', resolve));
  await new Server({ authorize: 'none' }).serve(listener);
  listener.listen(path);
  assert.equal(((await failed) as NodeJS.ErrnoException).code, 'EADDRINUSE');
});
