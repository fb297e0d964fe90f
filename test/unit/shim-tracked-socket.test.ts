import assert from 'node:assert/strict';

import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { execa } from 'execa';
import { containerd } from '../../src/api/index.js';
import { ContainerdTaskV2Task as Task } from '../../src/api/gen/services.js';
import { Acceptor } from '../../src/shim/program/accept.js';
import { Ledger } from '../../src/shim/worker/ledger.js';
import { TrackedSocket } from '../../src/shim/worker/tracked-socket.js';
import { listenUnix } from '../../src/sys/index.js';
import { Client, Server } from '../../src/ttrpc/index.js';
import { requestFrame, requestHead } from '../../src/ttrpc/envelope.js';
import { top } from '../support/daemons.js';
import { eventually, patiently } from '../support/eventually.js';
import { tempDir } from './fixtures/support.js';

type Handlers = Parameters<Server['add']>[1];

interface Served {
  readonly path: string;
  readonly ledger: Ledger;
  readonly sockets: TrackedSocket[];
}

async function serve(t: TestContext, handlers: Record<string, unknown>): Promise<Served> {
  const path = join(tempDir(t), 's');
  const ledger = Ledger.open();
  const server = new Server().add(Task, handlers as Handlers as never);
  await server.ready();
  const scratch = Buffer.alloc(64 * 1024);
  const sockets: TrackedSocket[] = [];
  const acceptor = new Acceptor(
    listenUnix(path),
    (fd) => {
      const socket = TrackedSocket.open(fd, { ledger, scratch, beforeSend: () => undefined })!;
      sockets.push(socket);
      void server.accept(socket);
    },
    assert.ifError,
  );
  t.after(() => {
    acceptor.close();
    server.close();
    ledger.close();
  });
  return { path, ledger, sockets };
}

async function client(t: TestContext, path: string): Promise<Client> {
  const socket = connect(path);
  await once(socket, 'connect');
  const made = new Client(socket);
  t.after(() => made.close());
  return made;
}

function frameOf(streamId: number, method: string, payload: Uint8Array): Buffer {
  const frame = requestFrame(
    streamId,
    0,
    requestHead('containerd.task.v2.Task', method),
    payload,
    undefined,
    undefined,
  );
  return frame instanceof Uint8Array ? Buffer.from(frame) : Buffer.concat(frame);
}

const state = (id: string): Uint8Array => containerd.task.v2.StateRequest.encode({ id }).finish();

test('requests are in the ledger until they are answered, and their replies with the kernel', async (t) => {
  let answer: (value: unknown) => void = () => undefined;
  const { path, ledger, sockets } = await serve(t, {
    State: ({ id }: { id: string }) => ({ id }),
    Wait: () => new Promise((resolve) => (answer = resolve)),
  });
  const task = (await client(t, path)).service(Task);
  const waiting = task.Wait({ id: 'c' });
  assert.equal((await task.State({ id: 'c' })).id, 'c');
  const { number } = sockets[0]!;
  assert.deepEqual(
    ledger.connection(number)!.unanswered.map(({ streamId }) => streamId),
    [1],
  );
  answer({ exitStatus: 3 });
  assert.equal((await waiting).exitStatus, 3);
  assert.deepEqual(ledger.connection(number)!.unanswered, []);
});

test('frames come byte by byte, many at once, or longer than anything is looked at', async (t) => {
  const { path, ledger, sockets } = await serve(t, { State: ({ id }: { id: string }) => ({ id: `${id.length}` }) });
  const socket: Socket = connect(path);
  await once(socket, 'connect');
  t.after(() => socket.destroy());
  let got = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
  const replies = (): number => {
    let count = 0;
    for (let at = 0; at + 10 <= got.length; count++) at += 10 + got.readUInt32BE(at);
    return count;
  };
  for (const byte of frameOf(1, 'State', state('c'))) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await eventually('an answer', () => replies() === 1);
  assert.equal(ledger.connection(sockets[0]!.number)!.isMidFrame, false);
  const long = frameOf(3, 'State', state('x'.repeat(3_000_000)));
  socket.write(long.subarray(0, 1_000_000));
  await eventually('the beginning is taken', () => ledger.connection(sockets[0]!.number)!.isMidFrame);
  socket.write(long.subarray(1_000_000));
  await eventually('an answer', () => replies() === 2);
  assert.equal(ledger.connection(sockets[0]!.number)!.isMidFrame, false);
  socket.write(Buffer.concat(Array.from({ length: 3000 }, (_, i) => frameOf(5 + 2 * i, 'State', state('c')))));
  await eventually('all answers', () => replies() === 3002);
  assert.deepEqual(ledger.connection(sockets[0]!.number)!.unanswered, []);
});

test('a client that does not read is not read from, and gets all of it when it does', async (t) => {
  const { path, sockets, ledger } = await serve(t, { State: () => ({ id: 'x'.repeat(300_000) }) });
  const socket: Socket = connect(path);
  await once(socket, 'connect');
  t.after(() => socket.destroy());
  socket.pause();
  const count = 60;
  for (let i = 0; i < count; i++) socket.write(frameOf(1 + 2 * i, 'State', state('c')));
  await eventually('it has no room any more', () => (sockets[0]?.writableLength ?? 0) > 1024 * 1024);
  assert.equal(ledger.connection(sockets[0]!.number)!.isMidFrame, true, 'half of a reply is with the client');
  let length = 0;
  socket.on('data', (chunk: Buffer) => (length += chunk.length));
  socket.resume();
  await eventually('all of it', () => length > count * 300_000 && sockets[0]!.writableLength === 0);
  assert.equal(ledger.connection(sockets[0]!.number)!.isMidFrame, false);
});

/** A Wait that has come, and whose answer is its handler's. */
async function waiting(t: TestContext): Promise<Served & { made: Client; answer: (value: unknown) => void }> {
  let answer: (value: unknown) => void = () => undefined;
  const served = await serve(t, { Wait: () => new Promise((resolve) => (answer = resolve)) });
  const { path, ledger, sockets } = served;
  const made = await client(t, path);
  made
    .service(Task)
    .Wait({ id: 'c' })
    .catch(() => undefined);
  await eventually('it is asked', () => sockets[0] && ledger.connection(sockets[0].number)!.unanswered.length === 1);
  return { ...served, made, answer };
}

test('one that is closed leaves nothing in the ledger', async (t) => {
  const { ledger, sockets, made } = await waiting(t);
  made.close();
  await eventually('it is gone', () => ledger.connection(sockets[0]!.number) === undefined);
});

test('one that goes before its reply is sent leaves nothing in the ledger either', async (t) => {
  const { ledger, sockets, answer } = await waiting(t);
  const { number } = sockets[0]!;
  answer({ exitStatus: 0 });
  // Its reply is queued by then, and not sent.
  await Promise.resolve().then(() => undefined);
  sockets[0]!.destroy();
  for (let other; (other = ledger.connect()) !== undefined && other !== number;);
  assert.deepEqual(ledger.connection(number)!.unanswered, []);
});

/** In a process of its own, where an exception that nobody catches is counted, as by a shim. */
const DEFECT = `
import { connect } from 'node:net';
import { Acceptor } from './src/shim/program/accept.ts';
import { Ledger } from './src/shim/worker/ledger.ts';
import { TrackedSocket } from './src/shim/worker/tracked-socket.ts';
import { listenUnix } from './src/sys/index.ts';
const path = process.argv[1];
const settings = { ledger: Ledger.open(), scratch: Buffer.alloc(65536), beforeSend: () => undefined };
let count = 0;
process.on('uncaughtException', () => { if (++count === 1000) process.exit(1); });
new Acceptor(listenUnix(path), (fd) => TrackedSocket.open(fd, settings).on('data', () => { throw new Error('a defect'); }), console.error);
// What was not taken resets it.
connect(path).on('error', () => undefined).on('close', () => { console.log(count); process.exit(); }).resume().write(Buffer.alloc(10));
`;

test('a defect in what acts upon a request ends its connection, and is told once', async (t) => {
  const { stdout } = await execa(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', DEFECT, join(tempDir(t), 's')],
    { cwd: top, timeout: patiently(20_000) },
  );
  assert.equal(stdout, '1');
});

test('what an earlier worker was asked is answered when that is known, and is in the ledger until then', async (t) => {
  const path = join(tempDir(t), 's');
  const ledger = Ledger.open();
  const server = new Server();
  await server.ready();
  const settings = { ledger, scratch: Buffer.alloc(64 * 1024), beforeSend: () => undefined };
  let known: (reply: Uint8Array) => void = () => undefined;
  const request = new Promise<Uint8Array>((resolve) => (known = resolve));
  let number: number | undefined;
  const acceptor = new Acceptor(
    listenUnix(path),
    (fd) => {
      const socket = TrackedSocket.open(fd, settings, 5, true)!;
      number = socket.number;
      const call = { streamId: 5, asked: Buffer.from('asked'), request, ended: 1 };
      server.resume(socket, { lastStreamId: 5, begun: true }, [call]);
    },
    assert.ifError,
  );
  const peer = connect(path);
  t.after(() => {
    peer.destroy();
    acceptor.close();
    server.close();
    ledger.close();
  });
  const unanswered = (): unknown[] =>
    ledger.connection(number!)!.unanswered.map(({ streamId, ended }) => [streamId, ended]);
  await eventually('it is accepted', () => number !== undefined);
  assert.deepEqual(unanswered(), [[5, 1]]);
  known(Buffer.alloc(0));
  const [frame] = (await once(peer, 'data')) as [Buffer];
  assert.equal(frame.readUInt32BE(4), 5);
  await eventually('it is answered', () => unanswered().length === 0);
});
