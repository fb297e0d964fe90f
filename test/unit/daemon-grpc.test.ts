/** The gRPC server with a client of the same library: every kind of method, errors, limits, back-pressure, sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import http2, { type ClientHttp2Stream } from 'node:http2';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, test } from 'node:test';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { pino } from 'pino';
import { containerd, errdefs, google } from '../../src/api/full.js';
import { GrpcCall } from '../../src/daemon/grpc/call.js';
import { GrpcServer } from '../../src/daemon/grpc/server.js';
import { bindService, type Call } from '../../src/daemon/grpc/service.js';
import { listen } from '../../src/daemon/grpc/socket.js';
import { TtrpcServer } from '../../src/daemon/grpc/ttrpc-server.js';
import { connect, defineService, method } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';

const { Any } = google.protobuf;
const { ReadContentResponse } = containerd.services.content.v1;
const Probe = defineService('test.Probe', {
  Unary: method.unary(Any, Any),
  Many: method.serverStream(Any, Any),
  Sum: method.clientStream(Any, Any),
  Both: method.bidi(Any, Any),
  Nothing: method.unary(Any, Any),
  Strange: method.unary(Any, ReadContentResponse),
});
type AnyInit = google.protobuf.Any.$Properties;

const directory = mkdtempSync(join(tmpdir(), 'hawser-grpc-'));
const logged: Record<string, unknown>[] = [];
const log = pino(
  { level: 'trace' },
  { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) },
);
let sockets = 0;

async function serve(
  handlers: Parameters<typeof bindService<typeof Probe>>[1],
  options = {},
): Promise<{ client: Client; server: GrpcServer; path: string }> {
  const path = join(directory, `s${sockets++}`);
  const server = new GrpcServer({ log, ...options });
  server.add(bindService(Probe, handlers), 'probe');
  const listener = await listen(path, ids);
  listener.on('connection', (socket) => server.accept(socket));
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  });
  after(async () => {
    client.close();
    listener.close();
    await server.close(0);
  });
  return { client, server, path };
}
const ids = { uid: process.getuid!(), gid: process.getgid!() };

const encode = (message: AnyInit): Buffer => Buffer.from(Any.encode(message).finish());
const decode = (bytes: Buffer): AnyInit => Any.decode(bytes);
const text = (value: string): AnyInit => ({ type_url: value });

function unary(
  client: Client,
  name: string,
  request: AnyInit,
  headers: Record<string, string | string[]> = {},
  options = {},
): Promise<AnyInit> {
  const metadata = new Metadata();
  for (const [key, values] of Object.entries(headers)) for (const value of [values].flat()) metadata.add(key, value);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(`/test.Probe/${name}`, encode, decode, request, metadata, options, (error, reply) =>
      error ? reject(error as Error) : resolve(reply!),
    );
  });
}

const fails =
  (code: status, details: string | RegExp) =>
  (error: unknown): boolean => {
    const { code: found, details: said } = error as ServiceError;
    assert.equal(status[found], status[code], said);
    if (typeof details === 'string') assert.equal(said, details);
    else assert.match(said, details);
    return true;
  };

after(() => rmSync(directory, { recursive: true }));

test('a unary call: its reply, what its handler is told, and its errors word for word', async () => {
  let told: Call | undefined;
  const { client } = await serve({
    Unary: (request, call) => {
      told = call;
      switch (request.type_url) {
        case 'not found':
          throw errdefs.notFound('container "x\u00e9%20\n"');
        case 'half':
          throw errdefs.invalidArgument('a \ud800 b');
        case 'plain':
          throw new Error('something else');
        case 'defect':
          throw new TypeError('undefined is not a function');
        case 'namespace':
          return text(call.namespace);
        default:
          return { type_url: `${request.type_url}!`, value: request.value ?? new Uint8Array() };
      }
    },
  });
  assert.equal(
    (
      await unary(client, 'Unary', text('hello'), {
        'containerd-namespace': 'moby',
        'containerd-lease': 'l1',
        'x-other': 'y',
      })
    ).type_url,
    'hello!',
  );
  assert.deepEqual(
    [
      told!.service,
      told!.method,
      told!.namespace,
      told!.lease,
      told!.header('x-other'),
      told!.deadline,
      told!.header('none'),
    ],
    ['test.Probe', 'Unary', 'moby', 'l1', 'y', undefined, undefined],
  );
  await unary(client, 'Unary', text('again'), {}, { deadline: Date.now() + 60_000 });
  assert.ok(Math.abs(told!.deadline! - Date.now() - 60_000) < 20_000);
  assert.equal(told!.lease, undefined);
  await assert.rejects(
    unary(client, 'Unary', text('not found')),
    fails(status.NOT_FOUND, 'container "x\u00e9%20\n": not found'),
  );
  await assert.rejects(
    unary(client, 'Unary', text('half')),
    fails(status.INVALID_ARGUMENT, 'a \ufffd b: invalid argument'),
  );
  await assert.rejects(unary(client, 'Unary', text('plain')), fails(status.UNKNOWN, 'something else'));
  await assert.rejects(
    unary(client, 'Unary', text('namespace')),
    fails(status.FAILED_PRECONDITION, /^namespace is required.*containerd-namespace: failed precondition$/),
  );
  await assert.rejects(
    unary(client, 'Unary', text('namespace'), { 'containerd-namespace': '../x' }),
    fails(status.INVALID_ARGUMENT, /namespace validation: identifier "\.\.\/x"/),
  );
  await assert.rejects(unary(client, 'Nothing', text('')), fails(status.UNIMPLEMENTED, /Nothing/));
  assert.equal(
    (await unary(client, 'Unary', text('namespace'), { 'containerd-namespace': 'k8s.io' })).type_url,
    'k8s.io',
  );

  await assert.rejects(unary(client, 'Unary', text('defect')), fails(status.INTERNAL, 'undefined is not a function'));
  const entry = logged.find(({ msg }) => msg === 'defect in the handler of a call');
  assert.deepEqual([entry?.level, entry?.method], [50, 'Unary']);
  assert.equal((await unary(client, 'Unary', text('still there'))).type_url, 'still there!');
});

test('of a header that is sent twice the first counts, and a comma is a part of its value', async () => {
  const { client } = await serve({
    Unary: (_, call) => text(`${call.namespace}|${call.lease}|${call.header('x-other')}`),
  });
  const told = async (headers: Record<string, string | string[]>): Promise<unknown> =>
    (await unary(client, 'Unary', text(''), headers)).type_url;
  assert.equal(
    await told({
      'containerd-namespace': ['new', 'old'],
      'containerd-lease': ['l1', 'l2', 'l3'],
      'x-other': ['a', 'b'],
    }),
    'new|l1|a',
  );
  assert.equal(
    await told({ 'containerd-namespace': ['same', 'same'], 'containerd-lease': ['a, b', 'c'], 'x-other': 'a, b' }),
    'same|a, b|a, b',
  );
  assert.equal(await told({ 'containerd-namespace': 'one', 'containerd-lease': 'l, m' }), 'one|l, m|undefined');
  await assert.rejects(
    told({ 'containerd-namespace': 'a, b' }),
    fails(status.INVALID_ARGUMENT, /namespace validation: identifier "a, b"/),
  );
});

test('messages of up to 16 MiB go both ways, bigger ones are refused', async () => {
  const { client } = await serve({
    Unary: ({ value }) => ({ value: Buffer.alloc(Buffer.from(value).readUInt32LE(0), 7) }),
  });
  const asking = (size: number, length = 4): AnyInit => {
    const value = Buffer.alloc(length);
    value.writeUInt32LE(size);
    return { value };
  };
  const most = 16 * 1024 * 1024 - 16;
  assert.equal((await unary(client, 'Unary', asking(most, most))).value!.length, most);
  await assert.rejects(unary(client, 'Unary', asking(most + 100)), fails(status.RESOURCE_EXHAUSTED, /larger than max/));
  await assert.rejects(
    unary(client, 'Unary', asking(1, most + 100)),
    fails(status.RESOURCE_EXHAUSTED, /larger than max/),
  );
  const small = await serve({ Unary: () => ({}) }, { maxReceive: 1000 });
  await assert.rejects(
    unary(small.client, 'Unary', asking(1, 2000)),
    fails(status.RESOURCE_EXHAUSTED, /larger than max/),
  );
});

test('the three kinds of streams', async () => {
  const { client } = await serve({
    async *Many({ type_url: count }) {
      for (let i = 0; i < Number(count); i++) yield text(String(i));
      await delay(0);
      if (count === '3') throw errdefs.unavailable('no more');
    },
    async Sum(requests) {
      let sum = 0;
      for await (const { type_url: one } of requests) sum += Number(one);
      return text(String(sum));
    },
    async *Both(requests) {
      for await (const { type_url: one } of requests) {
        yield text(`${one}${one}`);
        if (one === 'leave') return;
        if (one === 'fail') throw errdefs.alreadyExists('it');
      }
    },
  });
  const collect = async (stream: AsyncIterable<AnyInit>, into: string[] = []): Promise<string[]> => {
    for await (const { type_url: one } of stream) into.push(one ?? '');
    return into;
  };
  assert.deepEqual(await collect(client.makeServerStreamRequest('/test.Probe/Many', encode, decode, text('2'))), [
    '0',
    '1',
  ]);
  const before: string[] = [];
  await assert.rejects(
    collect(client.makeServerStreamRequest('/test.Probe/Many', encode, decode, text('3')), before),
    fails(status.UNAVAILABLE, 'no more: unavailable'),
  );
  assert.deepEqual(before, ['0', '1', '2']);

  const sum = await new Promise<AnyInit>((resolve, reject) => {
    const call = client.makeClientStreamRequest('/test.Probe/Sum', encode, decode, (error, reply) =>
      error ? reject(error as Error) : resolve(reply!),
    );
    for (const one of ['1', '2', '39']) call.write(text(one));
    call.end();
  });
  assert.equal(sum.type_url, '42');

  for (const [last, end] of [
    ['b', undefined],
    ['leave', undefined],
    ['fail', fails(status.ALREADY_EXISTS, 'it: already exists')],
  ] as const) {
    const call = client.makeBidiStreamRequest('/test.Probe/Both', encode, decode);
    call.write(text('a'));
    call.write(text(last));
    if (last === 'b') call.end();
    const got: string[] = [];
    if (end === undefined) await within(`the end after ${last}`, collect(call, got));
    else await assert.rejects(collect(call, got), end);
    assert.deepEqual(got, ['aa', last + last]);
  }
});

test('a handler is told when nobody waits any more: cancelled, late, gone', async () => {
  const reasons: string[] = [];
  let waiting = 0;
  const { client, path } = await serve({
    Unary: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        waiting++;
        signal.addEventListener('abort', () => {
          reasons.push((signal.reason as Error).name);
          reject(signal.reason as Error);
        });
      }),
    async *Many(_, { signal }) {
      yield text('first');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      reasons.push('stream');
    },
  });
  const call = client.makeUnaryRequest('/test.Probe/Unary', encode, decode, text(''), () => undefined);
  await eventually('the call has come', () => waiting === 1);
  call.cancel();
  await eventually('it is cancelled', () => reasons.length === 1);
  await assert.rejects(
    unary(client, 'Unary', text(''), {}, { deadline: Date.now() + 100 }),
    fails(status.DEADLINE_EXCEEDED, /./),
  );
  await eventually('it is late', () => reasons.length === 2);
  const leaving = new Client(`unix:${path}`, credentials.createInsecure());
  const stream = leaving.makeServerStreamRequest('/test.Probe/Many', encode, decode, text(''));
  stream.on('error', () => undefined);
  await new Promise((resolve) => stream.once('data', resolve));
  leaving.close();
  stream.cancel();
  await eventually('it is gone', () => reasons.length === 3);
  // Either side may be the first to see that it is late.
  assert.deepEqual([reasons[0], reasons[2]], ['AbortError', 'stream']);
  const late = new GrpcCall('s', 'm', Date.now() - 1000, () => undefined);
  const { signal } = late;
  late.cancel();
  assert.equal((signal.reason as Error).name, 'TimeoutError');
  assert.ok(late.signal.aborted);
});

test('back-pressure both ways: neither side runs far ahead of the other', async () => {
  // A client without a window of its own: grpc-js reads all that comes, whether or not anybody asks for it.
  const message = Any.encode({ value: Buffer.alloc(256 * 1024) }).finish();
  const frame = Buffer.concat([Buffer.alloc(5), message]);
  frame.writeUInt32BE(message.length, 1);
  let sent = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { path } = await serve({
    async *Many() {
      for (; sent < 400; sent++) yield { value: Buffer.alloc(256 * 1024) };
      await delay(0);
    },
    async Sum(requests) {
      await released;
      let bytes = 0;
      for await (const { value } of requests) bytes += value.length;
      return text(String(bytes));
    },
  });
  const session = http2.connect('http://localhost', { createConnection: () => createConnection(path) });
  after(() => session.close());
  const call = (name: string): ClientHttp2Stream =>
    session.request({
      ':method': 'POST',
      ':path': `/test.Probe/${name}`,
      te: 'trailers',
      'content-type': 'application/grpc',
    });

  const down = call('Many');
  down.end(Buffer.alloc(5));
  await eventually('messages are sent', () => sent > 0);
  await settled(() => sent);
  assert.ok(sent < 40, `the server has sent ${sent} messages to a client that reads none`);
  let got = 0;
  for await (const chunk of down) got += (chunk as Buffer).length;
  assert.equal(got, 400 * frame.length);

  const up = call('Sum');
  let written = 0;
  const next = (): void => {
    if (written === 400) up.end();
    else
      up.write(frame, () => {
        written++;
        next();
      });
  };
  next();
  await settled(() => written);
  assert.ok(written < 40, `the client has sent ${written} messages to a handler that reads none`);
  release();
  const reply: Buffer[] = [];
  for await (const chunk of up) reply.push(chunk as Buffer);
  assert.equal(decode(Buffer.concat(reply).subarray(5)).type_url, String(400 * 256 * 1024));
});

/** Waits until a count no longer moves: a slow machine is waited for, one that has come to its end is found. */
async function settled(count: () => number): Promise<void> {
  for (let last = -1; last !== count();) {
    last = count();
    await delay(300);
  }
}

test('a service is answered once', () => {
  const server = new GrpcServer({ log });
  server.add(bindService(Probe, {}), 'one');
  assert.throws(() => server.add(bindService(Probe, {}), 'two'), /test\.Probe of two is answered by one/);
  assert.deepEqual(server.services, ['test.Probe']);
});

test('an end lets calls that are under way finish', async () => {
  let release = (): void => undefined;
  let came = false;
  const { client, server } = await serve({
    Unary: () =>
      new Promise((resolve) => {
        came = true;
        release = () => resolve(text('done'));
      }),
  });
  const call = unary(client, 'Unary', text(''));
  await eventually('the call has come', () => came);
  const closing = server.close(20_000);
  release();
  assert.equal((await call).type_url, 'done');
  await within('the end', closing);
});

test('a socket is for its owner and group, replaces what a dead daemon left, and nothing else', async () => {
  const path = join(directory, 'sub/dir/socket');
  const first = await listen(path, ids);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  await assert.rejects(
    listen(path, ids),
    new RegExp(`socket ${path} is in use by process ${process.pid}: stop that one`),
  );
  await new Promise((resolve) => first.close(resolve));

  const left = createServer().listen(path);
  await new Promise((resolve) => left.once('listening', resolve));
  const name = join(directory, 'kept');
  symlinkSync(path, name);
  await assert.rejects(listen(name, ids), /something that is no socket is there/);
  // A close would remove the file, as a crash would not.
  (left as unknown as { _handle: { close(): void } })._handle.close();
  left.unref();
  const again = await listen(path, ids);
  await new Promise((resolve) => again.close(resolve));

  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await assert.rejects(listen(file, ids), /no socket is there; remove it/);
  await assert.rejects(listen(`/${'x'.repeat(200)}`), /longer than the 107 bytes/);
  await assert.rejects(listen('relative'), /must be an absolute path/);
});

test('the same handlers answer ttrpc, with its own headers', async () => {
  const server = new TtrpcServer({ log });
  server.add(
    bindService(Probe, {
      Unary: (_, call) => text(`${call.namespace} ${call.lease} ${call.method} ${call.header('x')}`),
      async *Many(_, { signal }) {
        yield text('one');
        await delay(0);
        signal.throwIfAborted();
      },
    }),
    'probe',
  );
  assert.throws(
    () => server.add(bindService(Probe, {}), 'two'),
    /ttrpc service test\.Probe of two is answered by probe/,
  );
  const path = join(directory, 'ttrpc');
  const listener = await listen(path, ids);
  listener.on('connection', (socket) => server.accept(socket));
  const client = await connect(path);
  const service = client.service(Probe);
  assert.equal(
    (await service.Unary({}, { metadata: { 'containerd-namespace-ttrpc': 'ns', x: 'y' } })).type_url,
    'ns undefined Unary y',
  );
  assert.equal(
    (
      await service.Unary(
        {},
        { metadata: { 'containerd-namespace-ttrpc': ['new', 'old'], 'containerd-lease': ['', 'l'], x: ['a, b', 'c'] } },
      )
    ).type_url,
    'new undefined Unary a, b',
  );
  await assert.rejects(service.Unary({}), /namespace is required.*containerd-namespace-ttrpc/);
  client.close();
  await server.close(1000);
  listener.close();
});
