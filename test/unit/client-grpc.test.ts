/** gRPC as the client library speaks it, with a server that says what it is told to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { execa } from 'execa';
import { containerd } from '../../src/api/full.js';
import { Code } from '../../src/ttrpc/status.js';
import {
  AbortError,
  ClientError,
  DeadlineExceededError,
  NotFoundError,
  ResourceExhaustedError,
  UnavailableError,
  UnimplementedError,
} from '../../src/client/errors.js';
import { connect } from '../../src/client/connect.js';
import { Connection } from '../../src/client/grpc/connection.js';
import { frame, Unframer } from '../../src/client/grpc/frames.js';
import { top } from '../support/daemons.js';
import { eventually, patiently } from '../support/eventually.js';

const { VersionResponse } = containerd.services.version.v1;
const { ReadContentResponse } = containerd.services.content.v1;
const dir = mkdtempSync(join(tmpdir(), 'hawser-client-grpc-'));
after(() => rmSync(dir, { recursive: true }));
const socket = join(dir, 'sock');
const OK = { ':status': 200, 'content-type': 'application/grpc' };

type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
let answer: Answer;
let server: Http2Server;
let connections = 0;
const sessions = new Set<{ destroy(): void }>();
let connection: Connection;

async function listen(): Promise<void> {
  server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, headers);
  });
  connections = 0;
  server.on('connection', () => connections++);
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
}

async function stop(): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const session of sessions) session.destroy();
  await closed;
}

beforeEach(async () => {
  await listen();
  connection = new Connection(socket);
});
afterEach(async () => {
  connection.close();
  await stop();
});

const services = (): ReturnType<Connection['services']> => connection.services('test');
/** Answers with these bytes, in pieces of a size, and a status. */
const replies =
  (bytes: Buffer, status: Record<string, string> = { 'grpc-status': '0' }, size = bytes.length || 1): Answer =>
  (stream) => {
    stream.resume();
    stream.respond(OK, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(status));
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
    stream.end();
  };
const version = frame(VersionResponse.encode({ version: '1.2.3' }).finish());

test('a call has its path, its namespace, its lease, its deadline and its headers', async () => {
  let seen: IncomingHttpHeaders = {};
  answer = (stream, headers) => {
    seen = headers;
    replies(version)(stream, headers);
  };
  const options = { namespace: 'other', lease: 'l', timeoutMs: 12_345, headers: { Mine: 'x' } };
  assert.equal((await services().version.Version({}, options)).version, '1.2.3');
  assert.equal(seen[':path'], '/containerd.services.version.v1.Version/Version');
  assert.deepEqual(
    ['containerd-namespace', 'containerd-lease', 'grpc-timeout', 'mine', 'te'].map((name) => seen[name]),
    ['other', 'l', '12345m', 'x', 'trailers'],
  );
  await services().version.Version({}, { timeoutMs: Infinity });
  assert.equal(seen['grpc-timeout'], undefined);
});

test('failures have their class and their words, with the status at the end or at once', async () => {
  const message = 'no such thing: „x“ 100%: not found';
  const status = { 'grpc-status': '5', 'grpc-message': encodeURIComponent(message) };
  for (const one of [
    replies(Buffer.alloc(0), status),
    (stream: ServerHttp2Stream) => stream.respond({ ...OK, ...status }, { endStream: true }),
  ]) {
    answer = one;
    await assert.rejects(services().version.Version({}), (error) => {
      assert.ok(error instanceof NotFoundError);
      assert.equal(error.message, message);
      return true;
    });
  }
  answer = (stream) => stream.respond({ ':status': 404 }, { endStream: true });
  await assert.rejects(services().version.Version({}), UnimplementedError);
  answer = replies(Buffer.alloc(0), { 'grpc-status': '2', 'grpc-message': '50%' });
  await assert.rejects(services().version.Version({}), { code: Code.Unknown, message: '50%' });
});

test('an answer that is none, is two, is cut off, is compressed or is too large is an error that says so', async () => {
  const compressed = Buffer.from(version);
  compressed[0] = 1;
  const large = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  for (const [bytes, expected] of [
    [Buffer.alloc(0), /answered with 0 messages/],
    [Buffer.concat([version, version]), /answered with 2 messages/],
    [version.subarray(0, -1), /no end/],
    [compressed, /compressed/],
    [large, /4294967295 bytes cannot be received/],
    [frame(Buffer.from([0xff])), /./],
  ] as const) {
    answer = replies(bytes);
    await assert.rejects(services().version.Version({}), (error) => {
      assert.ok(error instanceof ClientError, String(error));
      assert.match(error.message, expected);
      return true;
    });
  }
  await assert.rejects(services().content.ListStatuses({ filters: ['x'.repeat(65 << 20)] }), ResourceExhaustedError);
});

test('messages are whole in whatever pieces they come', async () => {
  const sent = Array.from({ length: 40 }, (_, n) => Buffer.alloc(n * 7, n));
  const bytes = Buffer.concat(sent.map((data) => frame(ReadContentResponse.encode({ data }).finish())));
  for (const size of [1, 3, 5, 64, bytes.length]) {
    const unframer = new Unframer();
    let count = 0;
    for (let at = 0; at < bytes.length; at += size)
      for (const message of unframer.take(bytes.subarray(at, at + size)))
        assert.deepEqual(Buffer.from(ReadContentResponse.decode(message).data), sent[count++]);
    assert.deepEqual([count, unframer.isWhole], [sent.length, true]);
  }
  answer = replies(bytes, undefined, 100);
  let count = 0;
  for await (const { data } of services().content.Read({ digest: 'x' })) assert.equal(data.length, count++ * 7);
  assert.equal(count, sent.length);
});

test('a stream that nobody reads is not read from the daemon either, and all of it comes', async () => {
  const total = 2000;
  let written = 0;
  answer = (stream) => {
    stream.resume();
    stream.respond(OK, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    const data = frame(ReadContentResponse.encode({ data: Buffer.alloc(64 << 10) }).finish());
    const more = (): void => {
      while (written < total) {
        written++;
        if (!stream.write(data)) return void stream.once('drain', more);
      }
      stream.end();
    };
    more();
  };
  const stream = services().content.Read({ digest: 'x' });
  let count = 0;
  for await (const _ of stream) {
    if (count++ === 0) {
      let before = -1;
      // Until the daemon writes no more.
      await eventually('it has stopped', async () => {
        const now = written;
        await new Promise((resolve) => setTimeout(resolve, 200));
        const isStill = now === before;
        before = now;
        return isStill || undefined;
      });
      assert.ok(written < total, `${written} were taken`);
    }
  }
  assert.equal(count, total);
});

const urlOf = (result: IteratorResult<{ type_url: string }, unknown>): string | undefined =>
  result.done === true ? undefined : result.value.type_url;

test('both sides stream; the end of one is not the end of the other', async () => {
  answer = (stream) => {
    stream.respond(OK, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('data', (piece: Buffer) => stream.write(piece));
    stream.on('end', () => stream.end());
  };
  const call = services().streaming.Stream();
  await call.send({ type_url: 'one' });
  assert.equal(urlOf(await call.next()), 'one');
  await call.send({ type_url: 'two' });
  call.finish();
  assert.equal(urlOf(await call.next()), 'two');
  assert.equal((await call.next()).done, true);
});

test('a daemon that has said its status is listened to no more, whatever else was to be sent', async () => {
  answer = (stream) => stream.respond({ ...OK, 'grpc-status': '5', 'grpc-message': 'gone' }, { endStream: true });
  const call = services().streaming.Stream();
  await assert.rejects(call.next(), NotFoundError);
  await assert.rejects(call.send({ type_url: 'x' }), NotFoundError);
});

test('a stream that is cancelled was given up by who cancels it, not by the daemon', async () => {
  answer = (stream) => void stream.resume();
  const call = services().streaming.Stream();
  const next = call.next();
  call.cancel();
  await assert.rejects(next, AbortError);
  await assert.rejects(call.send({ type_url: 'x' }), AbortError);
  answer = (stream) => stream.respond({ ...OK, 'grpc-status': '1', 'grpc-message': 'ending' }, { endStream: true });
  await assert.rejects(services().version.Version({}), (error) => {
    assert.ok(error instanceof UnavailableError);
    assert.match(error.message, /the daemon gave the call up \(ending\)/);
    return true;
  });
});

test('deadlines, aborts and closing end a call, and the daemon is told', async () => {
  const cancelled: number[] = [];
  answer = (stream) => {
    stream.resume();
    stream.once('close', () => cancelled.push(stream.rstCode ?? -1));
  };
  await assert.rejects(services().version.Version({}, { timeoutMs: 20 }), DeadlineExceededError);
  await assert.rejects(services().version.Version({}, { signal: AbortSignal.timeout(20) }), AbortError);
  assert.throws(() => services().content.Read({}, { signal: AbortSignal.abort() }), AbortError);
  const stream = services().content.Read({});
  await stream.return!();
  await eventually('they are cancelled', () => cancelled.length === 3 || undefined);
  assert.deepEqual(cancelled, [8, 8, 8]);
  const open = services().version.Version({});
  connection.close();
  await assert.rejects(open, { message: 'the client was closed: unavailable' });
  await assert.rejects(services().version.Version({}), { message: 'the client was closed: unavailable' });
});

test('a daemon that goes in the middle makes a call unavailable; one that is back is found', async () => {
  answer = (stream) => stream.resume();
  const call = services().version.Version({});
  await eventually('it is asked', () => sessions.size > 0 || undefined);
  await stop();
  await assert.rejects(call, UnavailableError);
  await assert.rejects(services().version.Version({}), (error) => {
    assert.ok(error instanceof UnavailableError);
    assert.match(error.message, /sock: cannot reach the daemon: connect (ENOENT|ECONNREFUSED) .*: unavailable$/);
    return true;
  });
  await listen();
  answer = replies(version);
  assert.equal((await services().version.Version({})).version, '1.2.3');
  // One that is about to go says so, and goes on with what it has.
  answer = (stream, headers) => {
    stream.session!.goaway();
    replies(version)(stream, headers);
  };
  for (let n = 0; n < 5; n++) assert.equal((await services().version.Version({})).version, '1.2.3');
});

test('the connection that has found the daemon is the one that calls go by, and the next is another', async () => {
  answer = replies(version);
  const client = await connect({ address: socket });
  assert.equal((await client.version()).version, '1.2.3');
  assert.equal(connections, 1);
  for (const session of sessions) session.destroy();
  await eventually(
    'it is asked anew',
    async () => (await client.version().catch(() => undefined)) !== undefined || undefined,
  );
  assert.equal(connections, 2);
  client.close();
  await eventually('both are closed', () => sessions.size === 0 || undefined);

  await assert.rejects(connect({ address: socket, signal: AbortSignal.abort() }), AbortError);
  const unused = connectSocket(socket);
  await once(unused, 'connect');
  new Connection(socket, unused).close();
  await once(unused, 'close');
});

test('an answer that ends without a status is an error, though there was more to say', async () => {
  answer = (stream) => {
    stream.respond(OK);
    stream.end(version);
  };
  const call = services().streaming.Stream();
  await call.next().catch(() => undefined);
  await assert.rejects(call.send({ type_url: 'x' }), { code: Code.Internal, message: /without a status/ });
  await assert.rejects(services().version.Version({}), { code: Code.Internal, message: /without a status/ });
});

test('a stream that the daemon resets is no success', async () => {
  answer = (stream) => {
    stream.respond(OK);
    stream.close(2);
  };
  await assert.rejects(services().version.Version({}), { code: Code.Internal });
});

test('a connection without calls keeps no program', async () => {
  answer = replies(version);
  const script = `import { Connection } from './src/client/grpc/connection.ts';
    console.log((await new Connection(${JSON.stringify(socket)}).services('x').version.Version({})).version);`;
  const { stdout } = await execa(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: top,
    timeout: patiently(60_000),
  });
  assert.equal(stdout, '1.2.3');
});
