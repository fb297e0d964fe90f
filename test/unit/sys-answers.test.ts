/** Requests that are answered without JavaScript: sys/answers.ts, and watches that do so. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  consume,
  forgetAnswers,
  keepAnswers,
  listenUnix,
  READABLE,
  tryAccept,
  tryPeek,
  trySend,
  Watch,
  WRITABLE,
} from '../../src/sys/index.js';
import { descriptorOf } from '../../src/ttrpc/connection-socket.js';
import { eventually } from '../support/eventually.js';

const QUIET = 3;
const HEADER = 10;

function frame(stream: number, payload: string, type = 1, flags = 0): Buffer {
  const bytes = Buffer.alloc(HEADER + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes.writeUInt32BE(stream, 4);
  bytes[8] = type;
  bytes[9] = flags;
  bytes.write(payload, HEADER);
  return bytes;
}

/** Varint timeout_nano = 4, message metadata = 5; and a field that is neither. */
const CIRCUMSTANCES = '\x20\x05\x2a\x03abc\x2a\x00';
const SOMETHING = '\x1a\x01x';

let end: Socket;
/** Its descriptor, read and written by hand. */
let client: number;
let server: number;
let watch: Watch;
let ledger: Uint32Array;
let seen: number;

beforeEach(async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'hawser-answers-')), 's');
  const listener = listenUnix(path);
  end = connect({ path });
  end.pause();
  server = await eventually('a connection', () => tryAccept(listener));
  client = descriptorOf(end)!;
  closeSync(listener);
  rmSync(dirname(path), { recursive: true });
  ledger = Uint32Array.of(0, 0, QUIET, 0);
  seen = 0;
  watch = new Watch(server, () => {
    seen++;
    watch.want(0);
  });
  watch.answers(ledger, 2, QUIET);
  keepAnswers([
    { request: Buffer.from('how is a?'), reply: frame(0, 'well', 2) },
    { request: Buffer.from('how is b?'), reply: frame(0, 'ill', 2) },
  ]);
  watch.want(READABLE);
});

afterEach(() => {
  watch.close();
  end.destroy();
  closeSync(server);
  forgetAnswers();
});

const send = (...bytes: Buffer[]): void => void trySend(client, Buffer.concat(bytes));

function received(): Buffer {
  const buffer = Buffer.alloc(1 << 16);
  const n = tryPeek(client, buffer) ?? 0;
  if (n > 0) consume(client, n);
  return buffer.subarray(0, n);
}

/** What has been answered when so much of it has come. */
async function replies(length: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  await eventually('the replies', () => (all = Buffer.concat([all, received()])).length >= length);
  return all;
}

const calledBack = (): Promise<unknown> => eventually('it is called back', () => seen > 0);

test('requests that are known are answered, each on its stream, and nobody is called', async () => {
  send(frame(1, 'how is a?'), frame(5, `how is b?${CIRCUMSTANCES}`), frame(7, 'how is a?'));
  const expected = Buffer.concat([frame(1, 'well', 2), frame(5, 'ill', 2), frame(7, 'well', 2)]);
  assert.deepEqual(await replies(expected.length), expected);
  assert.equal(seen, 0);
  assert.deepEqual([...ledger], [0, 0, QUIET, 7]);
  assert.equal(tryPeek(server, Buffer.alloc(1)), undefined, 'they have been taken');
  assert.equal(forgetAnswers(), 3);
});

test('many at once, more than are looked at in one turn', async () => {
  const count = 1000;
  const streams = Array.from({ length: count }, (_, n) => 2 * n + 1);
  send(...streams.map((stream) => frame(stream, 'how is a?')));
  const expected = Buffer.concat(streams.map((stream) => frame(stream, 'well', 2)));
  assert.deepEqual(await replies(expected.length), expected);
  assert.equal(forgetAnswers(), count);
  assert.equal(seen, 0);
});

for (const [what, bytes] of [
  ['another question', frame(1, 'how is c?')],
  ['a question with something that may change the answer', frame(1, `how is a?${SOMETHING}`)],
  ['a question that is longer', frame(1, 'how is a??')],
  ['half of a question', frame(1, 'how is a?').subarray(0, 15)],
  ['half of a header', frame(1, 'how is a?').subarray(0, 5)],
  ['a stream of an even number', frame(2, 'how is a?')],
  ['a response', frame(1, 'how is a?', 2)],
  ['data', frame(1, 'how is a?', 3)],
  ['a request with flags', frame(1, 'how is a?', 1, 2)],
  ['no frame', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
] as const)
  test(`${what} is left to who is called back`, async () => {
    send(bytes);
    await calledBack();
    assert.equal(received().length, 0);
    assert.equal(tryPeek(server, Buffer.alloc(4096)), bytes.length, 'it is still there');
    assert.deepEqual([...ledger], [0, 0, QUIET, 0]);
  });

test('what comes before another question is answered, and that is left', async () => {
  const other = frame(3, 'how is c?');
  send(frame(1, 'how is a?'), other, frame(5, 'how is a?'));
  assert.deepEqual(await replies(14), frame(1, 'well', 2));
  await calledBack();
  const left = Buffer.alloc(4096);
  assert.deepEqual(left.subarray(0, tryPeek(server, left)), Buffer.concat([other, frame(5, 'how is a?')]));
});

test('a stream that its client has begun already is left', async () => {
  ledger[3] = 9;
  send(frame(9, 'how is a?'));
  await calledBack();
  assert.equal(received().length, 0);
});

for (const [what, prepare] of [
  ['in the middle of a frame', () => (ledger[2] = QUIET | 4)],
  ['that has not been used', () => (ledger[2] = 1)],
  ['with something to be sent', () => watch.want(READABLE | WRITABLE)],
  ['when the answers have been forgotten', () => forgetAnswers()],
] as const)
  test(`on a connection ${what} nothing is answered`, async () => {
    prepare();
    send(frame(1, 'how is a?'));
    await calledBack();
    assert.equal(received().length, 0);
  });

test('who does not read what it is answered is left to who is called back, and nothing is lost or comes twice', async () => {
  const asked: number[] = [];
  let stream = -1;
  while (seen === 0) {
    const sent = trySend(client, frame(stream + 2, 'how is a?'));
    if (sent === undefined) await new Promise(setImmediate);
    else asked.push((stream += 2));
  }
  let bytes = 0;
  for (let some = received(); some.length > 0; some = received()) bytes += some.length;
  const answered = bytes / 14;
  const left = Buffer.alloc(19 * asked.length);
  const unanswered = (tryPeek(server, left) ?? 0) / 19;
  assert.equal(answered + unanswered, asked.length);
  assert.equal(ledger[3], asked[answered - 1]);
  assert.equal(left.readUInt32BE(4), asked[answered]);
});

test('the end is told to who is called back', async () => {
  send(frame(1, 'how is a?'));
  await replies(14);
  end.destroy();
  await calledBack();
});

test('what makes no sense is refused', () => {
  assert.throws(() => keepAnswers([{ request: Buffer.from('a'), reply: Buffer.alloc(HEADER - 1) }]), /EINVAL/);
});
