import assert from 'node:assert/strict';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import {
  makeEventfd,
  makePipe,
  READABLE,
  setNonblock,
  tryRead,
  tryWrite,
  Watch,
  WRITABLE,
} from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { leavesNothingOpen } from './fixtures/support.js';

function pipeFor(t: TestContext): { read: number; write: number } {
  const pipe = makePipe();
  t.after(() => {
    closeSync(pipe.read);
    closeSync(pipe.write);
  });
  return pipe;
}

/** Lets everything that is ready now be told: other descriptors that are ready too come no later. */
async function settle(): Promise<void> {
  const { read, write } = makePipe();
  writeSync(write, 'x');
  for (let turn = 0; turn < 3; turn++) {
    await new Promise<void>((resolve) => {
      const watch = new Watch(read, () => {
        watch.close();
        resolve();
      });
      watch.want(READABLE);
    });
  }
  closeSync(read);
  closeSync(write);
}

test('tells when there is something to read, and starts paused', async (t) => {
  const { read, write } = pipeFor(t);
  const events: number[] = [];
  const watch = new Watch(read, (event) => {
    events.push(event);
    readSync(read, Buffer.alloc(10));
  });
  t.after(() => watch.close());
  writeSync(write, 'x');
  await settle();
  assert.deepEqual(events, [], 'nobody wanted anything yet');
  watch.want(READABLE);
  await eventually('it is told', () => events.length > 0);
  await settle();
  assert.deepEqual(events, [READABLE]);
});

test('level-triggered: tells again while something is left', async (t) => {
  const { read, write } = pipeFor(t);
  writeSync(write, 'xyz');
  let text = '';
  const watch = new Watch(read, () => {
    const one = Buffer.alloc(1);
    readSync(read, one);
    text += one.toString();
  });
  t.after(() => watch.close());
  watch.want(READABLE);
  await eventually('all is read, a byte at a time', () => text === 'xyz');
});

test('tells when there is room to write, and not while there is none', async (t) => {
  const { read, write } = pipeFor(t);
  setNonblock(write, true);
  const chunk = Buffer.alloc(65536);
  while (tryWrite(write, chunk) !== undefined) continue;
  const events: number[] = [];
  const watch = new Watch(write, (event) => {
    events.push(event);
    watch.want(0);
  });
  t.after(() => watch.close());
  watch.want(WRITABLE);
  await settle();
  assert.deepEqual(events, []);
  setNonblock(read, true);
  while (tryRead(read, chunk) !== undefined) continue;
  await eventually('it is told', () => events.length > 0);
  assert.deepEqual(events, [WRITABLE]);
});

test('both at once, on a descriptor that can do both', async (t) => {
  const fd = makeEventfd();
  t.after(() => closeSync(fd));
  writeSync(fd, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
  const events = new Set<number>();
  const watch = new Watch(fd, (event) => events.add(event));
  t.after(() => watch.close());
  watch.want(READABLE | WRITABLE);
  await eventually('both are told', () => events.has(READABLE | WRITABLE));
});

test('want(0) pauses, and wanting again goes on', async (t) => {
  const { read, write } = pipeFor(t);
  writeSync(write, 'x');
  let calls = 0;
  const watch = new Watch(read, () => {
    calls++;
    watch.want(0);
  });
  t.after(() => watch.close());
  watch.want(READABLE);
  await eventually('it is told', () => calls === 1);
  await settle();
  assert.equal(calls, 1);
  watch.want(READABLE);
  await eventually('it is told again', () => calls === 2);
});

test('the end of a pipe is something to read', async (t) => {
  const { read, write } = makePipe();
  t.after(() => closeSync(read));
  const told = new Promise<number>((resolve) => {
    const watch = new Watch(read, (event) => {
      watch.close();
      resolve(event);
    });
    watch.want(READABLE);
  });
  closeSync(write);
  assert.equal((await told) & READABLE, READABLE);
});

test('a pipe whose reader is gone counts as ready, and wanting again works', async (t) => {
  const { read, write } = makePipe();
  t.after(() => closeSync(write));
  setNonblock(write, true);
  while (tryWrite(write, Buffer.alloc(65536)) !== undefined) continue;
  let calls = 0;
  const watch = new Watch(write, (event) => {
    assert.equal(event, WRITABLE);
    calls++;
    watch.want(0);
  });
  t.after(() => watch.close());
  watch.want(WRITABLE);
  closeSync(read);
  await eventually('it is told', () => calls === 1);
  watch.want(WRITABLE);
  await eventually('it is told again', () => calls === 2);
});

test('an error of the descriptor does not end the watch by itself', async (t) => {
  const { read, write } = makePipe();
  t.after(() => closeSync(write));
  let calls = 0;
  const watch = new Watch(write, () => {
    calls++;
    watch.want(WRITABLE);
  });
  t.after(() => watch.close());
  setNonblock(write, true);
  while (tryWrite(write, Buffer.alloc(65536)) !== undefined) continue;
  watch.want(WRITABLE);
  closeSync(read);
  await eventually('it is told', () => calls > 0);
  await settle();
  assert.ok(calls > 1, 'still wanted, still in error, level-triggered: told again');
});

test('closing twice, and asking a closed one, does nothing', async (t) => {
  const { read, write } = pipeFor(t);
  let calls = 0;
  const watch = new Watch(read, () => calls++);
  watch.want(READABLE);
  writeSync(write, 'x');
  watch.close();
  watch.close();
  watch.want(READABLE);
  watch.unref();
  await settle();
  assert.equal(calls, 0);
});

test('closing inside the callback ends it there', async (t) => {
  const { read, write } = pipeFor(t);
  writeSync(write, 'xyz');
  let calls = 0;
  const watch = new Watch(read, () => {
    calls++;
    watch.close();
  });
  watch.want(READABLE);
  await eventually('it is told', () => calls > 0);
  await settle();
  assert.equal(calls, 1);
});

test('one callback closes the watch of another that is ready in the same turn', async (t) => {
  const pipes = [pipeFor(t), pipeFor(t)];
  let calls = 0;
  const watches = pipes.map(({ read, write }) => {
    writeSync(write, 'x');
    return new Watch(read, () => {
      calls++;
      for (const watch of watches) watch.close();
    });
  });
  for (const watch of watches) watch.want(READABLE);
  await eventually('one is told', () => calls > 0);
  await settle();
  assert.equal(calls, 1);
});

test('a number that was closed and is open again can be watched anew', async (t) => {
  const first = makePipe();
  const old = new Watch(first.read, () => undefined);
  old.want(READABLE);
  old.close();
  closeSync(first.read);
  const second = makePipe();
  t.after(() => [first.write, second.read, second.write].forEach((fd) => closeSync(fd)));
  assert.equal(second.read, first.read, 'the kernel gives the lowest free number');
  let calls = 0;
  const watch = new Watch(second.read, () => {
    calls++;
    watch.close();
  });
  watch.want(READABLE);
  writeSync(second.write, 'x');
  await eventually('it is told', () => calls === 1);
});

test('what cannot be watched is an error', (t) => {
  const file = openSync('/proc/self/status', 'r');
  const directory = openSync('/', 'r');
  t.after(() => {
    closeSync(file);
    closeSync(directory);
  });
  assert.throws(() => new Watch(999_999, () => undefined), { name: 'SysError', code: 'EBADF', syscall: 'epoll_ctl' });
  assert.throws(() => new Watch(directory, () => undefined), { name: 'SysError', code: 'EPERM' });
});

test('what a callback throws is an uncaught exception, and the watch lives on', async (t) => {
  const { read, write } = pipeFor(t);
  const thrown: Error[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  writeSync(write, 'xy');
  const watch = new Watch(read, () => {
    readSync(read, Buffer.alloc(1));
    throw new Error('mine');
  });
  t.after(() => watch.close());
  watch.want(READABLE);
  await eventually('both are thrown', () => thrown.length === 2);
  assert.deepEqual(
    thrown.map(({ message }) => message),
    ['mine', 'mine'],
  );
});

test('promises settled in a callback go on before the next callback', async (t) => {
  const { read, write } = pipeFor(t);
  writeSync(write, 'xy');
  const order: string[] = [];
  const watch = new Watch(read, () => {
    readSync(read, Buffer.alloc(1));
    order.push('callback');
    void Promise.resolve().then(() => order.push('then'));
  });
  t.after(() => watch.close());
  watch.want(READABLE);
  await eventually('both came', () => order.length === 4);
  assert.deepEqual(order, ['callback', 'then', 'callback', 'then']);
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    const { read, write } = makePipe();
    writeSync(write, 'x');
    await new Promise<void>((resolve) => {
      const watch = new Watch(read, () => {
        watch.close();
        resolve();
      });
      watch.want(READABLE);
    });
    closeSync(read);
    closeSync(write);
  }));
