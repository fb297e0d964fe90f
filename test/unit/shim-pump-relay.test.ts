/** When there is much to copy, a thread does it: nothing may be lost, doubled or held up where it takes over and gives back. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { counters } from '../../src/shim/observe/counters.js';
import { Pump } from '../../src/shim/stdio/pump.js';
import type { Sink } from '../../src/shim/stdio/sink.js';
import {
  makePipe,
  Relay,
  setNonblock,
  spawn,
  tryRead,
  tryWrite,
  type Child,
  type Relayed,
} from '../../src/sys/index.js';
import { native } from '../../src/sys/native.js';
import { eventually } from '../support/eventually.js';
import { threadsNamed } from '../support/machine.js';
import { leavesNothingOpen } from './fixtures/support.js';

const relays = (): number => threadsNamed('hawser-relay');
/** A thread that has been waited for may still be seen for a moment. */
const noRelay = (): Promise<boolean> => eventually('no thread is left', () => relays() === 0);

const NUMBERS = ['seq', '1', '1000000000'];

/** seq, which writes as fast as it can, into a pump, into cmp, which knows what is to come. */
class Setup {
  readonly ended: string[] = [];
  readonly sinkErrors: NodeJS.ErrnoException[] = [];
  readonly pump: Pump;
  readonly #source = makePipe();
  readonly #sink = makePipe();
  readonly #words = makePipe();
  readonly #writer: Child;
  readonly #reader: Child;
  #sinkOpen = true;

  constructor(t: TestContext, sink?: Sink) {
    const [source, into, words] = [this.#source, this.#sink, this.#words];
    this.#writer = spawn('/usr/bin/seq', NUMBERS, { stdio: [source.read, source.write, 2] });
    this.#reader = spawn('/bin/sh', ['sh', '-c', `${NUMBERS.join(' ')} | cmp - /dev/fd/3`], {
      stdio: [source.read, words.write, words.write, into.read],
      ownGroup: true,
    });
    for (const fd of [source.write, into.read, words.write]) closeSync(fd);
    for (const fd of [source.read, into.write]) setNonblock(fd, true);
    this.pump = new Pump(source.read, sink ?? into.write, {
      onEnd: () => this.ended.push('end'),
      onSinkError: (error) => this.sinkErrors.push(error),
    });
    t.after(() => this.end());
  }

  async end(): Promise<void> {
    this.pump.stop();
    await this.endWriter();
    await this.endReader();
    this.#closeSink();
    for (const fd of [this.#source.read, this.#words.read]) closeSync(fd);
    this.end = () => Promise.resolve();
  }

  async untilRelayed(): Promise<void> {
    await eventually('a thread copies', () => relays() === 1);
  }

  async endWriter(): Promise<void> {
    killIfThere(this.#writer.pid, 'SIGKILL');
    await this.#writer.exited;
  }

  signalReader(signal: NodeJS.Signals): void {
    killIfThere(-this.#reader.pid, signal);
  }

  async endReader(): Promise<void> {
    this.signalReader('SIGKILL');
    await this.#reader.exited;
  }

  /** How many bytes came; fails where one was not what it should be. */
  async bytesRead(): Promise<number> {
    this.#closeSink();
    await this.#reader.exited;
    const buffer = Buffer.alloc(4096);
    const words = buffer.toString('utf8', 0, tryRead(this.#words.read, buffer));
    const [, bytes] = /EOF on \/dev\/fd\/3 after byte (\d+)/.exec(words) ?? [];
    assert.ok(bytes, words);
    return Number(bytes);
  }

  #closeSink(): void {
    if (this.#sinkOpen) closeSync(this.#sink.write);
    this.#sinkOpen = false;
  }
}

function killIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

test('much output is copied by a thread, whole and in order, to its end', async (t) => {
  await leavesNothingOpen(async () => {
    const s = new Setup(t);
    const before = counters.bytesCopied;
    await s.untilRelayed();
    await eventually('more than it does in one go', () => counters.bytesCopied - before > 64 << 20);
    await s.endWriter();
    await eventually('the end', () => s.ended.length > 0);
    await noRelay();
    assert.equal(await s.bytesRead(), counters.bytesCopied - before, 'all is counted');
    assert.deepEqual(s.sinkErrors, []);
    await s.end();
  });
});

test('a thread whose reader stands still ends; what it had goes on when there is room', async (t) => {
  const s = new Setup(t);
  await s.untilRelayed();
  s.signalReader('SIGSTOP');
  await noRelay();
  s.signalReader('SIGCONT');
  await s.untilRelayed();
  await s.endWriter();
  await eventually('the end', () => s.ended.length > 0);
  assert.ok((await s.bytesRead()) > 256 * 1024);
});

test('finish while a thread copies: what lies in the source is copied, then it ends', async (t) => {
  const s = new Setup(t);
  const before = counters.bytesCopied;
  await s.untilRelayed();
  s.signalReader('SIGSTOP');
  await s.endWriter();
  s.pump.finish();
  await noRelay();
  s.signalReader('SIGCONT');
  await eventually('the end', () => s.ended.length > 0);
  assert.deepEqual(s.ended, ['end']);
  assert.equal(await s.bytesRead(), counters.bytesCopied - before);
});

test('stop while a thread copies ends both at once', async (t) => {
  await leavesNothingOpen(async () => {
    const s = new Setup(t);
    await s.untilRelayed();
    s.pump.stop();
    await noRelay();
    assert.deepEqual(s.ended, []);
    await s.end();
  });
});

test('a sink that breaks while a thread copies is told once, and the writer is not held up', async (t) => {
  const s = new Setup(t);
  await s.untilRelayed();
  await s.endReader();
  await eventually('it is told', () => s.sinkErrors.length > 0);
  await s.endWriter();
  await eventually('what it wrote is read to its end', () => s.ended.length > 0);
  assert.deepEqual(
    s.sinkErrors.map(({ code }) => code),
    ['EPIPE'],
  );
  await noRelay();
});

test('what goes into no descriptor is copied without a thread', async (t) => {
  let bytes = 0;
  const s = new Setup(t, {
    write: (_buffer, from, to) => {
      bytes += to - from;
      assert.equal(relays(), 0);
      return to - from;
    },
    whenRoom: () => undefined,
    close: () => undefined,
  });
  await eventually('much is copied', () => bytes > 16 << 20);
  await s.endWriter();
});

test('a relay gives back what it could not write', async (t) => {
  const [source, sink] = [makePipe(), makePipe()];
  t.after(() => [source, sink].forEach((pipe) => [pipe.read, pipe.write].forEach((fd) => closeSync(fd))));
  for (const fd of [source.read, source.write, sink.write, sink.read]) setNonblock(fd, true);
  while (tryWrite(sink.write, Buffer.alloc(4096, 'f')) !== undefined);
  tryWrite(source.write, Buffer.from('what is left'));
  const relayed = await new Promise<Relayed>((resolve) => {
    const relay = new Relay(source.read, sink.write, () => resolve(relay.end()));
  });
  assert.deepEqual({ copied: relayed.copied, left: relayed.left.toString() }, { copied: 0, left: 'what is left' });
});

test('a relay cannot be ended twice', async (t) => {
  const pipe = makePipe();
  t.after(() => [pipe.read, pipe.write].forEach((fd) => closeSync(fd)));
  for (const fd of [pipe.read, pipe.write]) setNonblock(fd, true);
  const relay = new Relay(pipe.read, pipe.write, () => undefined);
  assert.deepEqual(relay.end(), { copied: 0, left: Buffer.alloc(0) });
  assert.throws(() => relay.end(), /has ended already/);
  await Promise.resolve();
});

test('a relay that cannot be watched has taken nothing', async (t) => {
  const [source, sink] = [makePipe(), makePipe()];
  t.after(() => [source, sink].forEach((pipe) => [pipe.read, pipe.write].forEach((fd) => closeSync(fd))));
  for (const fd of [source.read, source.write, sink.write, sink.read]) setNonblock(fd, true);
  tryWrite(source.write, Buffer.from('all of it'));
  await leavesNothingOpen(() => {
    t.mock.method(native, 'watchOpen', () => -28);
    assert.throws(() => new Relay(source.read, sink.write, () => undefined), { code: 'ENOSPC' });
    t.mock.restoreAll();
  });
  const buffer = Buffer.alloc(64);
  assert.equal(buffer.toString('utf8', 0, tryRead(source.read, buffer)), 'all of it');
});
