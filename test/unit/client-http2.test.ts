/** HTTP/2 as the client library speaks it: the standard's own examples, Node's server at its most awkward, and what is none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, createServer, type Http2Server, type ServerOptions } from 'node:http2';
import { connect as connectSocket, createServer as createSocketServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import fc from 'fast-check';
import { CANCEL, HttpError } from '../../src/client/http2/codes.js';
import * as frames from '../../src/client/http2/frames.js';
import { HeaderReader, writeHeaders, type Header } from '../../src/client/http2/hpack.js';
import { Session } from '../../src/client/http2/session.js';
import type { Headers, Over, Stream } from '../../src/client/http2/stream.js';
import { eventually } from '../support/eventually.js';

const dir = mkdtempSync(join(tmpdir(), 'hawser-client-http2-'));
after(() => rmSync(dir, { recursive: true }));
const path = join(dir, 'sock');
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const REQUEST: readonly Header[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/x'],
  [':authority', 'localhost'],
];

async function listening<T extends Http2Server | Server>(server: T): Promise<T> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return server;
}

async function session(): Promise<Session> {
  const socket = connectSocket(path);
  await once(socket, 'connect');
  const made = new Session(socket);
  ends.push(() => made.destroy());
  return made;
}

interface Seen {
  readonly stream: Stream;
  headers?: Headers;
  trailers?: Headers;
  readonly pieces: Buffer[];
  readonly over: Promise<Over>;
}

/** A request, with all that comes. */
function request(on: Session, headers: readonly Header[] = REQUEST): Seen {
  let tell: (why: Over) => void;
  const over = new Promise<Over>((resolve) => (tell = resolve));
  const seen: Omit<Seen, 'stream'> = { pieces: [], over };
  const stream = on.request(headers, {
    headers: (found) => (seen.headers = found),
    trailers: (found) => (seen.trailers = found),
    data: (piece) => seen.pieces.push(piece),
    end: () => undefined,
    over: (why) => tell(why),
  });
  return Object.assign(seen, { stream });
}

/** Sends back what comes. */
async function echo(options: ServerOptions = {}): Promise<void> {
  const server = await listening(createServer(options));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({ 'x-many': String(headers['x-many'] ?? '') }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
}

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const textOf = (headers: readonly Header[]): string[] => headers.map(([name, value]) => `${name}: ${value}`);

test("the standard's examples of headers are read as it reads them (RFC 7541, appendix C)", () => {
  for (const blocks of [
    // C.3, plain, and C.4, by Huffman's code
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ]) {
    const reader = new HeaderReader();
    const [first, second, third] = blocks.map((block) => textOf(reader.read(bytesOf(block))));
    const shared = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
    assert.deepEqual(first, shared);
    assert.deepEqual(second, [...shared, 'cache-control: no-cache']);
    assert.deepEqual(third, [
      ':method: GET',
      ':scheme: https',
      ':path: /index.html',
      ':authority: www.example.com',
      'custom-key: custom-value',
    ]);
  }
  // C.6, where the table has room for 256 bytes alone, which what comes first says here.
  const reader = new HeaderReader();
  const answers = [
    '3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    '4883 640e ffc1 c0bf',
    '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
  ].map((block) => textOf(reader.read(bytesOf(block))));
  const date = (second: number): string => `date: Mon, 21 Oct 2013 20:13:${second} GMT`;
  const location = 'location: https://www.example.com';
  assert.deepEqual(answers, [
    [':status: 302', 'cache-control: private', date(21), location],
    [':status: 307', 'cache-control: private', date(21), location],
    [
      ':status: 200',
      'cache-control: private',
      date(22),
      location,
      'content-encoding: gzip',
      'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ]);
});

test('what is no block of headers is an error, whatever it is, and so is what is no frame', () => {
  for (const [block, expected] of [
    ['ff', /cut off/],
    ['ffffffffffff', /too large/],
    ['80', /no such entry/],
    ['be', /no such entry/],
    ['3fe2 1f', /cannot have/],
    ['0003 6162', /cut off/],
    ['0081 ff', /cut off/],
    ['0084 ffff ffff 00', /there is none of/],
  ] as const)
    assert.throws(
      () => new HeaderReader().read(bytesOf(block)),
      (error) => {
        assert.ok(error instanceof HttpError, String(error));
        assert.match(error.message, expected, block);
        return true;
      },
    );
  const isOurs = (act: () => unknown): boolean => {
    try {
      act();
      return true;
    } catch (error) {
      return error instanceof HttpError;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
      isOurs(() => new HeaderReader().read(Buffer.from(bytes))),
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
      isOurs(() => [...new frames.FrameReader().take(Buffer.from(bytes))]),
    ),
  );
});

test('what is written can be read, and what no header can be is refused', () => {
  const name = fc.stringMatching(/^[a-z0-9-]{1,40}$/);
  const value = fc.stringMatching(/^[\t\x20-\x7e]{0,300}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (headers) => {
      assert.deepEqual(new HeaderReader().read(writeHeaders(headers)), headers);
    }),
  );
  for (const header of [
    ['Upper', 'x'],
    ['two words', 'x'],
    ['', 'x'],
    ['x', 'a\nb'],
    ['x', 'ü'],
  ] as const)
    assert.throws(() => writeHeaders([header]), TypeError, JSON.stringify(header));
});

test('headers come as they were sent, however long, whatever is in them, on one connection', async () => {
  const server = await listening(createServer());
  const sent: string[] = [];
  server.on('stream', (stream) => {
    stream.respond({ 'x-value': sent.at(-1)!, 'x-same': 'same' }, { endStream: true });
    stream.resume();
  });
  const on = await session();
  const values = fc.sample(fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,100}[\x21-\x7e])?$/), 60);
  // All bytes that may be there, also those with the longest codes; and more than one frame has room for.
  const all = Array.from({ length: 256 - 0x80 }, (_, n) => String.fromCharCode(n + 0x80)).join('');
  for (const value of [...values, all, `${'~'.repeat(40_000)}`]) {
    sent.push(value);
    const seen = request(on);
    seen.stream.end();
    await seen.over;
    assert.equal(seen.headers?.['x-value'], value);
    assert.equal(seen.headers['x-same'], 'same');
  }
});

test('all bytes come and go, with the narrowest windows, frames that are filled up and one call at a time', async () => {
  for (const options of [
    {},
    { settings: { initialWindowSize: 10 } },
    { paddingStrategy: constants.PADDING_STRATEGY_MAX },
    { settings: { maxConcurrentStreams: 1 } },
    { settings: { maxFrameSize: 100_000, initialWindowSize: 1 << 20 } },
  ]) {
    await echo(options);
    const on = await session();
    // Until its settings have come, nobody knows of them.
    const first = request(on);
    first.stream.end();
    await first.over;
    const size = options.settings?.initialWindowSize === 10 ? 3_000 : 3 << 20;
    const sent = Array.from({ length: 4 }, (_, n) => Buffer.alloc(size + n, `call ${n} `));
    const calls = sent.map((bytes, n) => {
      const seen = request(on, [...REQUEST, ['x-many', 'y'.repeat(n * 20_000)]]);
      seen.stream.write(bytes.subarray(0, 1000));
      seen.stream.end(bytes.subarray(1000));
      return seen;
    });
    for (const [n, seen] of calls.entries()) {
      assert.deepEqual(await seen.over, { reset: 0 }, JSON.stringify(options));
      assert.ok(Buffer.concat(seen.pieces).equals(sent[n]!), JSON.stringify(options));
      assert.deepEqual([seen.headers?.['x-many']?.length, seen.trailers?.['grpc-status']], [n * 20_000, '0']);
    }
    for (const end of ends.splice(0).reverse()) await end();
  }
});

test('what is not read is not sent, and is all there later, also when the connection is gone by then', async () => {
  const server = await listening(createServer());
  let given = 0;
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({});
    if (headers['x-little'] !== undefined) return void stream.end('all there is');
    const more = (): void => {
      while (stream.write(Buffer.alloc(10_000))) given += 10_000;
      stream.once('drain', more);
    };
    more();
  });
  const on = await session();
  const much = request(on);
  much.stream.pause();
  let before = -1;
  await eventually('it has stopped', async () => {
    const isStill = given === before && given > 0;
    before = given;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return isStill || undefined;
  });
  assert.ok(given < 8 << 20, `${given} bytes were given`);
  assert.equal(much.pieces.length, 0);
  much.stream.resume();
  await eventually('it goes on', () => given > before || undefined);
  much.stream.close(CANCEL);

  const little = request(on, [...REQUEST, ['x-little', '']]);
  little.stream.pause();
  little.stream.end();
  await eventually('it has come', () => little.headers !== undefined || undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  on.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  little.stream.resume();
  await little.over;
  assert.equal(Buffer.concat(little.pieces).toString(), 'all there is');
});

/** A server that says what it is told to say, after it was spoken to. */
async function saying(...bytes: readonly Buffer[]): Promise<{ readonly heard: () => Buffer }> {
  const heard: Buffer[] = [];
  await listening(
    createSocketServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (piece) => heard.push(piece));
      socket.once('data', () => socket.write(Buffer.concat(bytes)));
    }),
  );
  return { heard: () => Buffer.concat(heard) };
}

const frame = (type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([frames.frameHeader(type, flags, stream, payload.length), payload]);
const SETTINGS = frames.settingsFrame([]);
const { DATA, END_HEADERS, HEADERS } = frames;
const STATUS = writeHeaders([[':status', '200']]);

test('who does not speak HTTP/2, or not by its rules, is an error that says so', async () => {
  for (const [bytes, expected] of [
    [[Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], /^it does not speak HTTP\/2$/],
    [[frame(HEADERS, END_HEADERS, 1, STATUS)], /^it does not speak HTTP\/2$/],
    [[SETTINGS, frame(DATA, 0, 3, Buffer.from('x'))], /stream 3 is nobody's/],
    [[SETTINGS, frame(HEADERS, 0, 1, STATUS), frame(DATA, 0, 1)], /cut off by another frame/],
    [[SETTINGS, frame(frames.CONTINUATION, END_HEADERS, 1)], /never began/],
    [[SETTINGS, frame(frames.PUSH_PROMISE, END_HEADERS, 1, Buffer.alloc(8))], /pushes/],
    [[SETTINGS, frame(HEADERS, END_HEADERS, 1, bytesOf('be'))], /no such entry/],
    [[SETTINGS, frame(frames.RST_STREAM, 0, 1, Buffer.alloc(2))], /shorter than its kind/],
    [[SETTINGS, frame(DATA, 0x8, 1, Buffer.from([9, 1]))], /filled up with more than it has/],
    [[SETTINGS, frame(frames.WINDOW_UPDATE, 0, 0, bytesOf('7fffffff'))], /wider than any/],
    [[frames.settingsFrame([[4, 2 ** 31]])], /a window cannot have/],
    [[SETTINGS, Buffer.alloc(9, 0xff)], /a frame has 16777215 bytes/],
    [
      [SETTINGS, ...Array.from({ length: 70 }, () => frame(DATA, 0, 1, Buffer.alloc(16_384)))],
      /more has come on a stream than may/,
    ],
    [
      [
        SETTINGS,
        frame(HEADERS, 0, 1),
        ...Array.from({ length: 70 }, () => frame(frames.CONTINUATION, 0, 1, Buffer.alloc(16_384))),
      ],
      /more than 1048576 bytes/,
    ],
    // What it says when it goes is the reason.
    [
      [
        SETTINGS,
        frame(frames.GOAWAY, 0, 0, Buffer.concat([bytesOf('00000000 0000000b'), Buffer.from('too_many_pings')])),
      ],
      /code 11, too_many_pings/,
    ],
  ] as const) {
    await saying(...bytes);
    const on = await session();
    const seen = request(on);
    // Nobody reads it: what comes counts.
    seen.stream.pause();
    const { error } = await seen.over;
    assert.match(error?.message ?? 'nothing', expected);
    assert.equal(on.isOver, true);
    for (const end of ends.splice(0).reverse()) await end();
  }
});

test('what may come is heeded or passed over: pings, settings, frames of a later standard, an answer before the answer', async () => {
  const { heard } = await saying(
    frames.settingsFrame([
      [4, 100],
      [5, 1],
      [99, 7],
    ]),
    frame(0x42, 0xff, 1, Buffer.from('later')),
    frame(frames.PING, 0, 0, Buffer.from('12345678')),
    frame(HEADERS, END_HEADERS, 1, writeHeaders([[':status', '103']])),
    // With whom it depends on, and filled up.
    frame(HEADERS, END_HEADERS | 0x8 | 0x20, 1, Buffer.concat([bytesOf('02 0000000000'), STATUS, Buffer.alloc(2)])),
    frame(DATA, 0x8, 1, Buffer.from([1, 0x61, 0])),
    frame(HEADERS, END_HEADERS | frames.END_STREAM, 1, writeHeaders([['grpc-status', '0']])),
  );
  const seen = request(await session());
  seen.stream.end(Buffer.alloc(300));
  await eventually('all has come', () => seen.trailers !== undefined || undefined);
  assert.deepEqual(
    [seen.headers, Buffer.concat(seen.pieces).toString(), seen.trailers],
    [{ ':status': '200' }, 'a', { 'grpc-status': '0' }],
  );
  await eventually(
    'the ping is answered',
    () => heard().includes(frame(frames.PING, 1, 0, Buffer.from('12345678'))) || undefined,
  );
  assert.ok(heard().includes(frame(frames.SETTINGS, 1, 0)));
});

test('settings that come later hold for what is under way: a window of less than nothing, and room for those that wait', async () => {
  const heard: Buffer[] = [];
  let socket: Socket | undefined;
  await listening(
    createSocketServer((one) => {
      socket = one;
      one.on('error', () => undefined);
      one.on('data', (piece) => heard.push(piece));
      one.write(frames.settingsFrame([[3, 1]]));
    }),
  );
  const hears = (bytes: Buffer): Promise<unknown> =>
    eventually('it is heard', () => Buffer.concat(heard).includes(bytes) || undefined);
  const on = await session();
  await hears(frame(frames.SETTINGS, 1, 0));
  const [first, second] = [request(on), request(on)];
  first.stream.write(Buffer.alloc(100, 'x'));
  await hears(frame(DATA, 0, 1, Buffer.alloc(100, 'x')));
  socket!.write(frames.settingsFrame([[4, 10]]));
  await eventually('it is taken', () => first.stream.window === -90 || undefined);
  first.stream.end();
  await hears(frame(DATA, frames.END_STREAM, 1));
  assert.equal(second.stream.id, 0, 'it waits');
  socket!.write(frames.settingsFrame([[3, 2]]));
  await eventually('it waits no longer', () => second.stream.id === 3 || undefined);
});

test('a connection that is about to go answers what it has, and takes nothing new', async () => {
  const server = await listening(createServer());
  let go: (() => void) | undefined;
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    go = () => {
      stream.session!.goaway(0, 1);
      stream.respond({}, { endStream: true });
    };
  });
  const on = await session();
  const first = request(on);
  first.stream.end();
  await eventually('it is there', () => go);
  const second = request(on);
  go!();
  assert.match((await second.over).error?.message ?? '', /takes no more calls/);
  assert.deepEqual(await first.over, { reset: 0 });
  assert.equal(on.isOver, true);
});

test('a socket that is gone before anything was asked of it ends what is asked', async () => {
  await listening(createSocketServer((socket) => socket.destroy()));
  const socket = connectSocket(path);
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'close');
  const { error } = await request(new Session(socket)).over;
  assert.match(error!.message, /closed/);
});
