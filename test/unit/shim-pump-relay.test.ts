/** When there is much to copy, a thread does it: nothing may be lost, doubled or held up where it takes over and gives back. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { newCounters } from '../../src/shim/observe/counters.js';
import { Pump } from '../../src/shim/stdio/pump.js';
import type { Sink } from '../../src/shim/stdio/sink.js';
import {
  bytesWaiting,
  growPipe,
  makePipe,
  pipeSize,
  Relay,
  setNonblock,
  spawn,
  tryRead,
  tryWrite,
  type Child,
} from '../../src/sys/index.js';
import { native } from '../../src/sys/native.js';
import { eventually, patiently } from '../support/eventually.js';
import { threadsNamed } from '../support/machine.js';
import { leavesNothingOpen } from './fixtures/support.js';

const relays = (): number => threadsNamed('hawser-relay');
/** A thread that has been waited for may still be seen for a moment. */
const noRelay = (): Promise<boolean> => eventually('no thread is left', () => relays() === 0);

type Pipe = ReturnType<typeof makePipe>;

const NUMBERS = ['seq', '1', '1000000000'];

/** seq, which writes as fast as it can, into a pump, into cmp, which knows what is to come. */
class Setup {
  readonly ended: string[] = [];
  readonly sinkErrors: NodeJS.ErrnoException[] = [];
  readonly counters = newCounters();
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
      counters: this.counters,
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
    await s.untilRelayed();
    await eventually('more than it does in one go', () => s.counters.bytesCopied > 64 << 20);
    await s.endWriter();
    await eventually('the end', () => s.ended.length > 0);
    await noRelay();
    assert.equal(await s.bytesRead(), s.counters.bytesCopied, 'all is counted');
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
  await s.untilRelayed();
  s.signalReader('SIGSTOP');
  await s.endWriter();
  s.pump.finish();
  await noRelay();
  s.signalReader('SIGCONT');
  await eventually('the end', () => s.ended.length > 0);
  assert.deepEqual(s.ended, ['end']);
  assert.equal(await s.bytesRead(), s.counters.bytesCopied);
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

/** Two pipes, none of whose ends blocks. */
function pipes(t: TestContext): { source: Pipe; sink: Pipe } {
  const both = { source: makePipe(), sink: makePipe() };
  const all = Object.values(both).flatMap(({ read, write }) => [read, write]);
  for (const fd of all) setNonblock(fd, true);
  t.after(() => all.forEach((fd) => closeSync(fd)));
  return both;
}

test('a relay leaves what it cannot write where it is', async (t) => {
  const { source, sink } = pipes(t);
  while (tryWrite(sink.write, Buffer.alloc(4096, 'f')) !== undefined);
  tryWrite(source.write, Buffer.from('what is left'));
  const relay = new Relay(source.read, sink.write, Buffer.from('first, '));
  await new Promise<void>((resolve) => relay.start(resolve));
  assert.ok(relay.isRunning);
  assert.equal(relay.held, 0, 'what a thread has is its own');
  assert.throws(() => relay.step(), /is with its thread/);
  relay.join();
  assert.deepEqual([relay.copied, relay.held, relay.state], [0, 7, 'wants-sink']);
  assert.equal(bytesWaiting(source.read), 12);
  assert.equal(relay.take().toString(), 'first, ');
  assert.deepEqual([relay.held, relay.take().length], [0, 0]);
  relay.close();
  relay.close();
  assert.throws(() => relay.step(), /is closed/);
});

test('a relay that cannot be watched has taken nothing', async (t) => {
  const { source, sink } = pipes(t);
  tryWrite(source.write, Buffer.from('all of it'));
  await leavesNothingOpen(() => {
    const relay = new Relay(source.read, sink.write);
    t.mock.method(native, 'watchOpen', () => -28);
    assert.throws(() => relay.start(() => undefined), { code: 'ENOSPC' });
    t.mock.restoreAll();
    relay.close();
  });
  assert.equal(bytesWaiting(source.read), 9);
});

test('between pipes pages are handed over: nothing is read, and few lines of a slow reader do not fill a pipe', (t) => {
  const { source, sink } = pipes(t);
  const relay = new Relay(source.read, sink.write);
  t.after(() => relay.close());
  for (let line = 0; line < 1000; line++) {
    tryWrite(source.write, Buffer.from(`line ${String(line).padStart(5)}\n`));
    assert.equal(relay.step(), 'wants-source');
  }
  assert.equal(bytesWaiting(sink.read), 11_000);
  const all = Buffer.alloc(20_000);
  let have = 0;
  for (let n = 0; (n = tryRead(sink.read, all.subarray(have)) ?? 0) > 0;) have += n;
  const lines = all.toString('utf8', 0, have).split('\n').slice(0, -1);
  assert.ok(lines.length === 1000 && lines.every((line, at) => Number(line.slice(5)) === at));
});

test('pipes that have much to move get more room while there is a thread for it, and what is larger stays so', async (t) => {
  const { source, sink } = pipes(t);
  const relay = new Relay(source.read, sink.write);
  t.after(() => relay.close());
  const sizes = (): number[] => [source.read, sink.write].map(pipeSize);
  const through = async (bytes: number, stepped: boolean): Promise<void> => {
    assert.equal(tryWrite(source.write, Buffer.alloc(bytes)), bytes);
    if (stepped) assert.equal(relay.step(), 'wants-source');
    await eventually('it has arrived', () => bytesWaiting(sink.read) === bytes);
    tryRead(sink.read, Buffer.alloc(bytes));
  };
  for (let n = 0; n < 20; n++) await through(65_536, true);
  assert.deepEqual(sizes(), [65_536, 65_536], 'step by step');
  let isServed = false;
  let over = Promise.resolve();
  /** A thread that finds nothing to do for a moment ends; it is started again. */
  const serve = (): void => {
    isServed = true;
    over = new Promise((resolve) => {
      const again = (): void =>
        relay.start(() => {
          relay.join();
          if (isServed) again();
          else resolve();
        });
      again();
    });
  };
  /** Gives the sizes when nothing has been to do. */
  const rest = async (): Promise<number[]> => {
    isServed = false;
    await over;
    // It ends after half a second in any case: then the next step finds that there is nothing.
    assert.equal(relay.step(), 'wants-source');
    return sizes();
  };
  const grown = async (bytes: number, wanted: readonly number[]): Promise<void> => {
    const until = Date.now() + patiently(30_000);
    while (!isDeepStrictEqual(sizes(), wanted)) {
      assert.ok(Date.now() < until, `${sizes().join()} instead of ${wanted.join()}`);
      await through(bytes, false);
    }
  };
  serve();
  for (let n = 0; n < 300; n++) await through(4096, false);
  assert.deepEqual(sizes(), [65_536, 65_536], 'little at a time');
  await grown(65_536, [524_288, 524_288]);
  assert.deepEqual(await rest(), [65_536, 65_536]);
  serve();
  await grown(65_536, [524_288, 524_288]);
  growPipe(sink.write, 1 << 20);
  assert.deepEqual(await rest(), [65_536, 1 << 20], 'what somebody else has given it stays');
  serve();
  await grown(65_536, [524_288, 1 << 20]);
  await through(262_144, false);
  assert.deepEqual(await rest(), [65_536, 1 << 20], 'what is larger stays so');
});

test('a step says what it needs: data, room, an end, a reader', (t) => {
  const { source, sink } = pipes(t);
  const state = (): string => relay.step();
  const relay = new Relay(source.read, sink.write);
  assert.equal(state(), 'wants-source');
  while (tryWrite(source.write, Buffer.alloc(4096, 'x')) !== undefined);
  assert.equal(state(), 'wants-source');
  assert.equal(bytesWaiting(sink.read), 65_536);
  tryWrite(source.write, Buffer.from('more'));
  assert.equal(state(), 'wants-sink');
  tryRead(sink.read, Buffer.alloc(4096));
  assert.equal(state(), 'wants-source');
  relay.close();
  const [ended, unread] = [makePipe(), makePipe()];
  for (const fd of [ended.write, unread.read]) closeSync(fd);
  const other = new Relay(ended.read, sink.write);
  assert.equal(other.step(), 'ended', 'though there is no room in the sink');
  other.close();
  tryWrite(source.write, Buffer.from('x'));
  setNonblock(unread.write, true);
  const last = new Relay(source.read, unread.write);
  assert.deepEqual([last.step(), last.error.code], ['sink-failed', 'EPIPE']);
  last.close();
  for (const fd of [ended.read, unread.write]) closeSync(fd);
});
