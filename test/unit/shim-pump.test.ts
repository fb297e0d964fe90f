import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { newCounters } from '../../src/shim/observe/counters.js';
import { Pump } from '../../src/shim/stdio/pump.js';
import { makePipe, setNonblock, tryRead, tryWrite } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { leavesNothingOpen } from './fixtures/support.js';

class Setup {
  readonly source = makePipe();
  readonly sink = makePipe();
  readonly ended: string[] = [];
  readonly sinkErrors: NodeJS.ErrnoException[] = [];
  readonly pump: Pump;
  readonly #closed = new Set<number>();

  constructor(t?: TestContext) {
    for (const fd of [this.source.read, this.source.write, this.sink.read, this.sink.write]) setNonblock(fd, true);
    this.pump = new Pump(this.source.read, this.sink.write, {
      counters: newCounters(),
      onEnd: () => this.ended.push('end'),
      onSinkError: (error) => this.sinkErrors.push(error),
    });
    t?.after(() => this.closeAll());
  }

  close(fd: number): void {
    if (this.#closed.has(fd)) return;
    this.#closed.add(fd);
    closeSync(fd);
  }

  closeAll(): void {
    this.pump.stop();
    for (const fd of [this.source.read, this.source.write, this.sink.read, this.sink.write]) this.close(fd);
  }

  /** Everything that is in the sink now. */
  drain(): Buffer {
    const chunks: Buffer[] = [];
    const buffer = Buffer.alloc(65536);
    for (let n = tryRead(this.sink.read, buffer); n; n = tryRead(this.sink.read, buffer))
      chunks.push(Buffer.from(buffer.subarray(0, n)));
    return Buffer.concat(chunks);
  }

  fill(fd: number): number {
    let total = 0;
    for (const size of [65536, 1]) {
      for (let n = tryWrite(fd, Buffer.alloc(size, 'f')); n !== undefined; n = tryWrite(fd, Buffer.alloc(size, 'f')))
        total += n;
    }
    return total;
  }
}

test('copies what comes, and ends once when the source does', async (t) => {
  const s = new Setup(t);
  tryWrite(s.source.write, Buffer.from('hello '));
  let text = '';
  await eventually('it is copied', () => (text += s.drain().toString()) === 'hello ');
  tryWrite(s.source.write, Buffer.from('world'));
  s.close(s.source.write);
  await eventually('it ends', () => s.ended.length > 0);
  assert.equal(s.drain().toString(), 'world');
  s.pump.finish();
  s.pump.stop();
  assert.deepEqual(s.ended, ['end']);
});

test('a sink without room holds the source up, and loses nothing', async (t) => {
  const s = new Setup(t);
  const stuffing = s.fill(s.sink.write);
  // Bytes that show their place.
  const data = Buffer.from(Uint8Array.from({ length: 400_000 }, (_, index) => index % 251));
  let written = 0;
  const received: Buffer[] = [];
  let count = 0;
  await eventually('all is through', () => {
    if (written < data.length)
      written += tryWrite(s.source.write, data, written, Math.min(written + 7001, data.length)) ?? 0;
    else s.close(s.source.write);
    const chunk = s.drain();
    received.push(chunk);
    count += chunk.length;
    return s.ended.length > 0 && count === stuffing + data.length;
  });
  assert.ok(Buffer.concat(received).subarray(stuffing).equals(data));
  assert.deepEqual(s.sinkErrors, []);
});

test('while the sink has no room, the source is not read into memory without bound', async (t) => {
  const s = new Setup(t);
  s.fill(s.sink.write);
  let accepted = 0;
  for (let round = 0; round < 50; round++) {
    accepted += s.fill(s.source.write);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // A pipe of its own and one chunk.
  assert.ok(accepted <= 3 * 65536, `${accepted} bytes were taken`);
  assert.ok(accepted >= 65536);
});

test('finish copies what is left, and ends though the source stays open', (t) => {
  const s = new Setup(t);
  tryWrite(s.source.write, Buffer.from('last words'));
  s.pump.finish();
  assert.equal(s.drain().toString(), 'last words');
  assert.deepEqual(s.ended, ['end']);
});

test('finish of an empty source ends at once', (t) => {
  const s = new Setup(t);
  s.pump.finish();
  s.pump.finish();
  assert.deepEqual(s.ended, ['end']);
});

test('finish waits for a slow sink, and loses nothing', async (t) => {
  const s = new Setup(t);
  const stuffing = s.fill(s.sink.write);
  tryWrite(s.source.write, Buffer.alloc(60_000, 'a'));
  s.pump.finish();
  s.pump.finish();
  assert.deepEqual(s.ended, [], 'the sink has it not');
  let text = '';
  await eventually('it ends', () => {
    text += s.drain().toString();
    return s.ended.length > 0;
  });
  text += s.drain().toString();
  assert.equal(text.slice(stuffing), 'a'.repeat(60_000));
});

test('finish while data waits for the sink copies that and what is behind it', async (t) => {
  const s = new Setup(t);
  const stuffing = s.fill(s.sink.write);
  tryWrite(s.source.write, Buffer.from('first '));
  // The pump has taken it: the source's pipe is empty again.
  await eventually('it is taken', () => {
    tryWrite(s.source.write, Buffer.from('x'));
    return s.fill(s.source.write) > 0;
  });
  s.pump.finish();
  let text = '';
  await eventually('it ends', () => {
    text += s.drain().toString();
    return s.ended.length > 0;
  });
  text += s.drain().toString();
  assert.ok(text.slice(stuffing).startsWith('first x'));
  assert.equal(tryRead(s.source.read, Buffer.alloc(1)), undefined, 'nothing is left behind');
});

test('a sink that breaks is told once; the source is drained nevertheless, and ends', async (t) => {
  const s = new Setup(t);
  s.close(s.sink.read);
  tryWrite(s.source.write, Buffer.from('x'));
  await eventually('it is told', () => s.sinkErrors.length > 0);
  // Much more than a pipe holds: it can only be written when somebody reads.
  let total = 0;
  await eventually('the writer does not stall', () => (total += s.fill(s.source.write)) > 1_000_000);
  s.close(s.source.write);
  await eventually('it ends', () => s.ended.length > 0);
  assert.deepEqual(
    s.sinkErrors.map(({ code }) => code),
    ['EPIPE'],
  );
  assert.deepEqual(s.ended, ['end']);
});

test('a sink that breaks while data waits for it', async (t) => {
  const s = new Setup(t);
  s.fill(s.sink.write);
  tryWrite(s.source.write, Buffer.from('x'));
  await new Promise((resolve) => setImmediate(resolve));
  s.close(s.sink.read);
  let total = 0;
  await eventually('the writer does not stall', () => (total += s.fill(s.source.write)) > 1_000_000);
  s.pump.finish();
  await eventually('it ends', () => s.ended.length > 0);
  assert.deepEqual(
    s.sinkErrors.map(({ code }) => code),
    ['EPIPE'],
  );
});

test('stop ends at once, says nothing, and leaves the rest where it is', async (t) => {
  const s = new Setup(t);
  tryWrite(s.source.write, Buffer.from('not copied'));
  s.pump.stop();
  s.pump.stop();
  s.pump.finish();
  const other = new Setup(t);
  tryWrite(other.source.write, Buffer.from('x'));
  await eventually('another pump has had its turn', () => other.drain().length > 0);
  assert.deepEqual(s.ended, []);
  assert.equal(s.drain().length, 0);
  assert.equal(tryRead(s.source.read, Buffer.alloc(100)), 10);
});

test('stop while data waits for the sink', (t) => {
  const s = new Setup(t);
  s.fill(s.sink.write);
  tryWrite(s.source.write, Buffer.from('x'));
  s.pump.finish();
  s.pump.stop();
  assert.deepEqual(s.ended, []);
  assert.deepEqual(s.sinkErrors, []);
});

test('stop inside the end is no second end', async (t) => {
  const source = makePipe();
  const sink = makePipe();
  t.after(() => [source.read, sink.read, sink.write].forEach((fd) => closeSync(fd)));
  let ends = 0;
  const pump = new Pump(source.read, sink.write, {
    counters: newCounters(),
    onEnd: () => {
      ends++;
      pump.stop();
      pump.finish();
    },
  });
  closeSync(source.write);
  await eventually('it ends', () => ends > 0);
  assert.equal(ends, 1);
});

test('several pumps at once don’t mix their bytes', async (t) => {
  const all = Array.from({ length: 8 }, () => new Setup(t));
  const size = 300_000;
  const got = all.map(() => [] as Buffer[]);
  const written = all.map(() => 0);
  await eventually('all end', () => {
    all.forEach((s, index) => {
      const rest = Math.min(50_000, size - written[index]!);
      if (rest > 0) written[index]! += tryWrite(s.source.write, Buffer.alloc(rest, index)) ?? 0;
      if (written[index] === size) s.close(s.source.write);
      got[index]!.push(s.drain());
    });
    return all.every(({ ended }) => ended.length > 0);
  });
  all.forEach((s, index) => {
    got[index]!.push(s.drain());
    assert.ok(Buffer.concat(got[index]!).equals(Buffer.alloc(size, index)), `pump ${index}`);
  });
});

test('what waits for a sink is its own pump’s, whatever others copy meanwhile', async (t) => {
  const all = Array.from({ length: 4 }, () => new Setup(t));
  const stuffing = all.map((s) => s.fill(s.sink.write));
  all.forEach((s, index) => assert.equal(tryWrite(s.source.write, Buffer.alloc(5000, index)), 5000));
  // Each has read its chunk, and holds it.
  for (const { pump } of all) pump.finish();
  assert.deepEqual(
    all.map(({ ended }) => ended.length),
    [0, 0, 0, 0],
  );
  const got = all.map(() => Buffer.alloc(0));
  await eventually('all end', () => {
    all.forEach((s, index) => (got[index] = Buffer.concat([got[index]!, s.drain()])));
    return all.every(({ ended }) => ended.length > 0);
  });
  all.forEach((s, index) => {
    const bytes = Buffer.concat([got[index]!, s.drain()]).subarray(stuffing[index]);
    assert.ok(bytes.equals(Buffer.alloc(5000, index)), `pump ${index}`);
  });
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    const s = new Setup();
    tryWrite(s.source.write, Buffer.from('x'));
    s.close(s.source.write);
    await eventually('it ends', () => s.ended.length > 0);
    s.closeAll();
  }));
