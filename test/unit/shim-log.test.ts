import assert from 'node:assert/strict';
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FifoLogger, formatLine } from '../../src/shim/observe/log.js';
import { copyDescriptor, duplicate, makeFifo, tryRead } from '../../src/sys/index.js';
import { openDescriptors, tempDir } from './fixtures/support.js';

const TIME = new Date('2024-03-04T05:06:07.089Z');

test('a line is as logrus writes it', () => {
  assert.equal(
    formatLine(TIME, 'info', 'a message', { id: 'abc', runtime: 'io.containerd.runc.v2' }),
    'time="2024-03-04T05:06:07.089Z" level=info msg="a message" id=abc runtime=io.containerd.runc.v2\n',
  );
});

test('what is plain is not quoted, all else is', () => {
  const value = (text: unknown): string => /v=(.*)\n$/s.exec(formatLine(TIME, 'debug', 'm', { v: text }))![1]!;
  for (const plain of ['abc', 'A-z_0.9', '/run/x', 'a@b', 'x^y', '1+2']) assert.equal(value(plain), plain);
  for (const [text, quoted] of [
    ['a b', '"a b"'],
    ['a=b', '"a=b"'],
    ['"', '"\\""'],
    ['line\nline', '"line\\nline"'],
    ['ü', '"ü"'],
    ['a:b', '"a:b"'],
  ] as const) {
    assert.equal(value(text), quoted);
  }
  assert.equal(formatLine(TIME, 'warning', 'plain', {}), 'time="2024-03-04T05:06:07.089Z" level=warning msg=plain\n');
});

test('a line is one line, whatever is in it', () => {
  const line = formatLine(TIME, 'error', 'a\nb\r\nc', { stack: 'x\n  at y', object: { a: '\n' } });
  assert.equal(line.indexOf('\n'), line.length - 1);
});

test('errors show their text, other values their JSON', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = undefined;
  assert.equal(
    formatLine(TIME, 'error', 'm', { error: new Error('why'), n: 3, list: [1], none: undefined, yes: true, f: null }),
    'time="2024-03-04T05:06:07.089Z" level=error msg=m error=why n=3 list="[1]" none=undefined yes=true f=null\n',
  );
});

/** A logger whose FIFO this test reads; standard error, which it takes over, is given back. */
function logging(t: TestContext, debug = false): { logger: FifoLogger; read: () => string; fifo: string } {
  const fifo = join(tempDir(t), 'log');
  makeFifo(fifo, 0o700);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const stderr = copyDescriptor(2);
  const before = new Set(Object.keys(openDescriptors()));
  const logger = new FifoLogger(debug);
  logger.open(fifo);
  const own = Object.keys(openDescriptors())
    .filter((fd) => !before.has(fd))
    .map(Number);
  t.after(() => {
    duplicate(stderr, 2);
    for (const fd of [stderr, reader, ...own]) closeSync(fd);
  });
  const buffer = Buffer.alloc(1 << 20);
  return {
    logger,
    fifo,
    read: () => {
      let text = '';
      for (let n = tryRead(reader, buffer); n; n = tryRead(reader, buffer)) text += buffer.toString('utf8', 0, n);
      return text;
    },
  };
}

test('lines go to the FIFO, with the runtime’s name', (t) => {
  const { logger, read } = logging(t);
  logger.info('hello', { id: 'abc' });
  logger.warn('careful');
  logger.error('bad');
  const lines = read().split('\n');
  assert.match(
    lines[0]!,
    /^time="\d{4}-\d\d-\d\dT[\d:.]+Z" level=info msg=hello id=abc runtime=io\.containerd\.runc\.v2$/,
  );
  assert.match(lines[1]!, / level=warning msg=careful runtime=io\.containerd\.runc\.v2$/);
  assert.match(lines[2]!, / level=error msg=bad /);
  assert.equal(lines.length, 4);
});

test('debug lines are written only when asked for', (t) => {
  const off = logging(t, false);
  off.logger.debug('x');
  assert.equal(off.read(), '');
  const on = logging(t, true);
  on.logger.debug('x');
  assert.match(on.read(), / level=debug msg=x /);
});

test('standard error goes to the FIFO too', (t) => {
  const { fifo } = logging(t);
  assert.equal(openDescriptors()[2], fifo);
});

test('lines that find no room are dropped and counted, and nothing blocks', (t) => {
  const { logger, read } = logging(t);
  const text = 'x'.repeat(1000);
  // Far more than a pipe holds: if one of these blocked, this test would not end.
  for (let line = 0; line < 1000; line++) logger.info(text, { line });
  const lines = read().split('\n').slice(0, -1);
  assert.ok(lines.length > 3 && lines.length < 1000);
  assert.ok(
    lines.every((line, index) => line.includes(` line=${index} `) && line.endsWith('runtime=io.containerd.runc.v2')),
    'those that came are whole and the first',
  );
  logger.info('after');
  logger.info('later');
  const [after, later] = read().split('\n');
  assert.match(after!, new RegExp(` dropped_lines=${1000 - lines.length} `));
  assert.doesNotMatch(later!, /dropped_lines/);
});

test('a daemon that goes away and comes back finds what was logged meanwhile', (t) => {
  const fifo = join(tempDir(t), 'log');
  makeFifo(fifo, 0o700);
  const stderr = copyDescriptor(2);
  const before = new Set(Object.keys(openDescriptors()));
  const logger = new FifoLogger(false);
  logger.open(fifo);
  const own = Object.keys(openDescriptors())
    .filter((fd) => !before.has(fd))
    .map(Number);
  logger.info('while nobody reads');
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(4096);
  t.after(() => {
    duplicate(stderr, 2);
    for (const fd of [stderr, reader, ...own]) closeSync(fd);
  });
  assert.match(buffer.toString('utf8', 0, tryRead(reader, buffer)), /while nobody reads/);
});

test('without a FIFO there is no log, and no error', (t) => {
  const logger = new FifoLogger(true);
  logger.open(join(tempDir(t), 'missing'));
  logger.info('into the void');
});

test('the last complaints are kept for the state dump, some of them and some of each, also without a daemon to read them', () => {
  const log = new FifoLogger(false);
  log.info('no complaint');
  log.debug('nor is this');
  for (let n = 0; n < 100; n++)
    log[n % 2 ? 'warn' : 'error'](`complaint ${n}`, { error: new Error('x'.repeat(10_000)) });
  const { complaints, dropped } = log.describe();
  assert.equal(dropped, 0);
  assert.deepEqual([complaints.length, complaints[0]?.level, complaints.at(-1)?.level], [20, 'error', 'warning']);
  assert.match(complaints.at(-1)!.text, /^complaint 99 error=xxx/);
  for (const { text, time } of complaints) assert.ok(text.length <= 500 && time <= Date.now());
});
