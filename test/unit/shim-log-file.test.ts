/** Log files that the shim writes: rotation, and times when they cannot be written. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogFile } from '../../src/shim/stdio/log/log-file.js';
import { RotatingFile } from '../../src/shim/stdio/log/rotating-file.js';
import type { LogFileSettings } from '../../src/shim/stdio/log/settings.js';
import { CannotRest, Found, Leaving } from '../../src/shim/worker/leaving.js';
import { entriesIn } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { copyDescriptor } from '../../src/sys/index.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

const settings = (path: string, more: Partial<LogFileSettings> = {}): LogFileSettings => ({
  path,
  maxSize: undefined,
  maxFiles: 5,
  onDeath: { kind: 'block' },
  ...more,
});
const text = (path: string): string => readFileSync(path, 'utf8');

async function writeAll(file: RotatingFile, data: string): Promise<void> {
  const bytes = Buffer.from(data);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes, at, bytes.length);
}

test('a file ends with a line, and a line goes into one file', async (t) => {
  const path = join(tempDir(t), 'x');
  const file = new RotatingFile(path, 100, 3, assert.fail);
  await file.open();
  await writeAll(file, 'a'.repeat(59) + '\n');
  await writeAll(file, 'b'.repeat(59) + '\n');
  await writeAll(file, 'c'.repeat(30) + '\n' + 'd'.repeat(30) + '\n');
  assert.deepEqual(
    [text(path), text(`${path}.1`), text(`${path}.2`)].map((part) => part.replaceAll(/(.)\1*/g, '$1')),
    ['d\n', 'b\nc\n', 'a\n'],
  );
  await file.close();
});

test('a line longer than a file is cut where the file is full; one that came in pieces is not, where there is room', async (t) => {
  const path = join(tempDir(t), 'x');
  const file = new RotatingFile(path, 100, 9, assert.fail);
  await file.open();
  await writeAll(file, `${'a'.repeat(250)}\n`);
  assert.deepEqual([text(`${path}.2`).length, text(`${path}.1`).length, text(path)], [100, 100, `${'a'.repeat(50)}\n`]);
  await writeAll(file, 'b'.repeat(20));
  await writeAll(file, 'c'.repeat(20));
  await writeAll(file, '\n');
  assert.equal(text(path), `${'a'.repeat(50)}\n${'b'.repeat(20)}${'c'.repeat(20)}\n`);
  await file.close();
});

test('what is there is added to, and counts', async (t) => {
  const path = join(tempDir(t), 'x');
  writeFileSync(path, 'x'.repeat(95) + '\n');
  const file = new RotatingFile(path, 100, 2, assert.fail);
  await file.open();
  await writeAll(file, 'next line\n');
  assert.deepEqual([text(path), statSync(`${path}.1`).size], ['next line\n', 96]);
  await file.close();
});

test('a file that cannot be moved grows on, and says so once', async (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'x');
  const told: string[] = [];
  const file = new RotatingFile(path, 10, 2, (line) => told.push(line));
  await file.open();
  // A directory with something in it is in the way.
  mkdirSync(join(`${path}.1`, 'full'), { recursive: true });
  for (let n = 0; n < 5; n++) await writeAll(file, '123456789\n');
  assert.equal(text(path), '123456789\n'.repeat(5));
  assert.equal(told.length, 1);
  assert.match(told[0]!, /x cannot be rotated, and grows on: /);
  rmSync(`${path}.1`, { recursive: true });
  await eventually('it is rotated later', async () => {
    await writeAll(file, '123456789\n');
    return existsSync(`${path}.1`);
  });
  await file.close();
});

test('all who open a path share one file; the last one closes it', () =>
  leavesNothingOpen(async () => {
    const dir = tempDirOnce();
    const path = join(dir, 'x');
    const [one, two] = await Promise.all([
      LogFile.acquire(settings(path), assert.fail),
      LogFile.acquire(settings(join(dir, '.', 'x')), assert.fail),
    ]);
    assert.equal(one, two);
    await one.append(Buffer.from('one\n'));
    await one.release();
    await two.append(Buffer.from('two\n'));
    await two.release();
    const again = await LogFile.acquire(settings(path), assert.fail);
    assert.notEqual(again, one);
    await again.release();
    assert.equal(text(path), 'one\ntwo\n');
    rmSync(dir, { recursive: true });
  }));

function tempDirOnce(): string {
  const dir = join(process.env.TMPDIR ?? '/tmp', `hawser-unit-log-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  return dir;
}

test('one that cannot be opened is an error for all, and can be opened later', async (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'x');
  mkdirSync(path);
  const both = await Promise.allSettled([
    LogFile.acquire(settings(path), assert.fail),
    LogFile.acquire(settings(path), assert.fail),
  ]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  rmSync(path, { recursive: true });
  await (await LogFile.acquire(settings(path), assert.fail)).release();
});

test('field 15: a device that is full, by policy: block waits, drop counts, spill puts it elsewhere; each goes on when it can', async (t) => {
  const dir = tempDir(t);
  for (const kind of ['block', 'drop', 'spill'] as const) {
    const path = join(dir, kind);
    const told: string[] = [];
    symlinkSync('/dev/full', path);
    const onDeath = kind === 'spill' ? { kind, path: join(dir, 'elsewhere') } : { kind };
    const file = await LogFile.acquire(settings(path, { onDeath }), (line) => told.push(line));
    const first = file.append(Buffer.from('first\n'));
    await eventually('it fails', () => told.some((line) => /cannot be written for now.*ENOSPC/.test(line)));
    if (kind !== 'block') await first;
    unlinkSync(path);
    writeFileSync(path, '');
    await first;
    await eventually('it can be written', async () => {
      await file.append(Buffer.from('x'));
      return told.some((line) => line.includes('can be written again'));
    });
    await file.release();
    assert.match(text(path), kind === 'block' ? /^first\nx+$/ : /^x+$/);
    assert.equal(told.filter((line) => line.includes('cannot be written')).length, 1);
    if (kind === 'drop') assert.match(told.at(-1)!, /^\d+ bytes for .*drop were dropped in all$/);
    if (kind === 'spill') assert.match(text(join(dir, 'elsewhere')), /^first\nx*$/);
  }
});

test('a spill that cannot be written either is dropped, and counted', async (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'x');
  const told: string[] = [];
  symlinkSync('/dev/full', path);
  writeFileSync(join(dir, 'file'), '');
  const file = await LogFile.acquire(
    settings(path, { onDeath: { kind: 'spill', path: join(dir, 'file', 'below') } }),
    (line) => told.push(line),
  );
  await file.append(Buffer.alloc(1000));
  await file.append(Buffer.alloc(1000));
  await file.release();
  assert.deepEqual(
    told.map((line) => line.replace(/.*(cannot be written for now|nor can|2000 bytes).*/, '$1')),
    ['cannot be written for now', 'nor can', '2000 bytes'],
  );
});

test('release gives up what a full device has not taken', async (t) => {
  const path = join(tempDir(t), 'x');
  const told: string[] = [];
  symlinkSync('/dev/full', path);
  const file = await LogFile.acquire(settings(path), (line) => told.push(line));
  void file.append(Buffer.alloc(1234));
  await eventually('it fails', () => told.length > 0);
  assert.equal(await file.idleWithin(20), false);
  await file.release();
  assert.match(told.at(-1)!, /^1234 bytes for .*x were dropped in all$/);
});

// ---- left to another process ---------------------------------------------------------------------------------------

/** What another process finds of what has been left, some bytes having been copied meanwhile. */
function foundAfter(leaving: Leaving): Found {
  const all = leaving.all.map(({ fd }) => copyDescriptor(fd));
  return new Found({ fds: all, held: all.map(() => Buffer.of()), copied: all.map(() => 0), shared: [] });
}

test('a file that rotates is left to be filled up to where lines count, by as many as write to it; another without a bound', async (t) => {
  const path = join(tempDir(t), 'x');
  const file = new RotatingFile(path, 1000, 3, assert.fail);
  await file.open();
  await writeAll(file, `${'a'.repeat(99)}\n`);
  const leaving = new Leaving();
  const resting = file.rest(leaving);
  assert.deepEqual(file.sinkOf(resting, 1), { place: 0, most: 1000 - 100 - 125 });
  assert.deepEqual(file.sinkOf(resting, 2), { place: 0, most: 387 });
  const plain = new RotatingFile(`${path}-plain`, undefined, 1, assert.fail);
  await plain.open();
  assert.deepEqual(plain.sinkOf(plain.rest(new Leaving()), 1), { place: 0 });
  // On a file system that may make one wait nobody writes who has other things to do.
  const remote = new RotatingFile(path, undefined, 1, assert.fail);
  remote.resume({ ...resting, rotates: false, isPrompt: false }, foundAfter(leaving));
  assert.deepEqual(remote.sinkOf(resting, 1), { place: 0, most: 0 });
  for (const one of [file, plain, remote]) await one.close();
});

test('who goes on with a file knows its size and whether a line has begun, whoever has written it', async (t) => {
  const path = join(tempDir(t), 'x');
  const file = new RotatingFile(path, 100, 9, assert.fail);
  await file.open();
  await writeAll(file, 'one\n');
  for (const [more, expected] of [
    // Begun: it is cut where the file is full.
    ['b'.repeat(60), [100, 21]],
    // Not begun: the next file has it.
    [`${'b'.repeat(59)}\n`, [64, 57]],
  ] as const) {
    const leaving = new Leaving();
    const resting = file.rest(leaving);
    writeFileSync(path, more, { flag: 'a' });
    const next = new RotatingFile(path, 100, 9, assert.fail);
    next.resume(resting, foundAfter(leaving));
    next.grewUnseen(more.length);
    assert.equal(next.size, 64);
    await writeAll(next, `${'c'.repeat(56)}\n`);
    assert.deepEqual([statSync(`${path}.1`).size, statSync(path).size], expected);
    await next.close();
    writeFileSync(path, 'one\n');
    unlinkSync(`${path}.1`);
    await file.open();
  }
  await file.close();
});

test('a log file that is being written is not left; two who have it open go on with one, and close it', async (t) => {
  const path = join(tempDir(t), 'x');
  await leavesNothingOpen(async () => {
    writeFileSync(path, '');
    const [one, other] = [
      await LogFile.acquire(settings(path), assert.fail),
      await LogFile.acquire(settings(path), assert.fail),
    ];
    assert.equal(one, other);
    one.writer().write(Buffer.from('text'), 0, 4);
    assert.throws(() => one.rest(new Leaving()), CannotRest);
    await one.idle();
    const leaving = new Leaving();
    const left = [one.rest(leaving), other.rest(leaving)];
    const found = foundAfter(leaving);
    for (const file of [one, other]) await file.release();
    const again = left.map((resting) => LogFile.resume(resting, found, assert.fail));
    assert.equal(again[0], again[1]);
    await again[0]!.append(Buffer.from(' and more'));
    for (const file of again) await file.release();
    assert.equal(text(path), 'text and more');
  });
});

test('entries are not cut by a rotation, one that is longer than a file stands alone, and what was torn is ended', async (t) => {
  const path = join(tempDir(t), 'x');
  writeFileSync(path, 'torn');
  const file = new RotatingFile(path, 100, 9, assert.fail, undefined, true);
  await file.open();
  await writeAll(file, `${'a'.repeat(59)}\n${'b'.repeat(59)}\n${'c'.repeat(250)}\n${'d'.repeat(9)}\n`);
  const short = (part: string): string => part.replaceAll(/(.)\1*/g, '$1');
  assert.deepEqual([3, 2, 1].map((n) => short(text(`${path}.${n}`))).concat(short(text(path))), [
    'torn\na\n',
    'b\n',
    'c\n',
    'd\n',
  ]);
  await file.close();
});

test('a log of entries: of each writer its own stream, and what others have made of them comes first', async (t) => {
  const path = join(tempDir(t), 'x');
  await leavesNothingOpen(async () => {
    rmSync(path, { force: true });
    const file = await LogFile.acquire(settings(path, { format: 'cri' }), assert.fail);
    const [out, err] = [file.writer('stdout'), file.writer('stderr')];
    const write = (sink: typeof out, what: string): void => {
      const bytes = Buffer.from(what);
      assert.equal(sink.write(bytes, 0, bytes.length), bytes.length);
    };
    write(out, 'one\ntw');
    write(err, 'error\n');
    // A thread has read this, and its disk was full.
    out.written?.(5, Buffer.from('2026-11-29T00:00:00.000000000Z stdout F first\n'));
    await file.idle();
    assert.deepEqual(
      entriesIn(text(path)).map(({ stream, tag, content }) => [stream, tag, content]),
      [
        ['stdout', 'F', 'first'],
        ['stdout', 'F', 'one'],
        ['stdout', 'P', 'tw'],
        ['stderr', 'F', 'error'],
      ],
    );
    await file.release();
  });
});
