/** Logs of containers as the client library reads them, and as the command line writes them. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogWriter } from '../../src/cli/log/writer.js';
import { FailedPreconditionError } from '../../src/client/errors.js';
import { EntryDecoder, mayBeEntry, type LogPiece } from '../../src/client/log/entries.js';
import { lastEntries, locate } from '../../src/client/log/files.js';
import { momentOf, rfc3339 } from '../../src/client/moment.js';
import { logPlace, type LogPlace } from '../../src/client/log/place.js';
import { LogReader, type Selection } from '../../src/client/log/reader.js';
import { entriesIn, logParts, printed } from '../support/entries.js';
import { tempDir } from './fixtures/support.js';

const time = (second: number): string => `2026-11-29T10:00:${String(second).padStart(2, '0')}.000000000Z`;
const entry = (second: number, text: string, stream = 'stdout', tag = 'F'): string =>
  `${time(second)} ${stream} ${tag} ${text}\n`;
const place = (path: string, hasEntries = true): LogPlace => ({ path, hasEntries, maxSize: undefined, maxFiles: 5 });
const shown = (pieces: readonly LogPiece[]): string[] =>
  pieces.map(
    ({ time, stream, bytes }) => `${time?.slice(17, 19) ?? '-'} ${stream} ${JSON.stringify(bytes.toString())}`,
  );

async function read(path: string, selection: Selection = {}, hasEntries = true): Promise<string> {
  const reader = new LogReader(place(path, hasEntries), selection);
  reader.end(true);
  const all: Buffer[] = [];
  for await (const pieces of reader) all.push(...pieces.map(({ bytes }) => bytes));
  return Buffer.concat(all).toString();
}

test('entries are taken apart wherever a chunk is cut, and what is none is given as it is', () => {
  const text =
    entry(1, 'one') +
    entry(2, 'pie', 'stderr', 'P') +
    entry(3, '', 'stderr') +
    `not an entry, 2026-11-29T10\n\n` +
    `${time(4)} stdout X cut\n${time(4)} std\n` +
    entry(5, entry(9, 'an entry in an entry').trimEnd()) +
    '2026-11-29T10:00:0';
  const expected = [
    '01 stdout "one\\n"',
    '02 stderr "pie"',
    '03 stderr "\\n"',
    '- stdout "not an entry, 2026-11-29T10\\n"',
    '- stdout "\\n"',
    `- stdout ${JSON.stringify(`${time(4)} stdout X cut\n`)}`,
    `- stdout ${JSON.stringify(`${time(4)} std\n`)}`,
    `05 stdout ${JSON.stringify(entry(9, 'an entry in an entry'))}`,
    '- stdout "2026-11-29T10:00:0"',
  ];
  for (const size of [1, 2, 3, 7, 39, 40, 41, 1000]) {
    const decoder = new EntryDecoder();
    const pieces: LogPiece[] = [];
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) pieces.push(...decoder.push(bytes.subarray(at, at + size)));
    pieces.push(...decoder.end());
    // What is no entry comes as soon as that is known, in any pieces.
    const joined = pieces.reduce<LogPiece[]>((all, piece) => {
      const last = all.at(-1);
      const goesOn = piece.time === undefined && last?.time === undefined && last?.bytes.at(-1) !== 10;
      return goesOn && last
        ? [...all.slice(0, -1), { ...last, bytes: Buffer.concat([last.bytes, piece.bytes]) }]
        : [...all, piece];
    }, []);
    assert.deepEqual(shown(joined), expected, `by ${size}`);
  }
  const decoder = new EntryDecoder();
  assert.deepEqual(shown(decoder.push(Buffer.from('/ # '))), ['- stdout "/ # "'], 'a prompt is not held back');
  assert.equal(mayBeEntry(Buffer.from('2026-1x')), false);
});

test('since, until, times and streams are about lines, of each stream by itself', async (t) => {
  const path = join(tempDir(t), 'log');
  writeFileSync(
    path,
    entry(1, 'a ', 'stdout', 'P') +
      entry(2, 'error', 'stderr') +
      entry(3, 'line') +
      entry(4, 'b') +
      entry(5, 'c', 'stdout', 'P'),
  );
  assert.equal(await read(path), 'a error\nline\nb\nc');
  assert.equal(
    await read(path, { timestamps: true }),
    `${time(1)} a ${time(2)} error\nline\n${time(4)} b\n${time(5)} c`,
    'a line has the time of its beginning',
  );
  assert.equal(await read(path, { since: time(2) }), 'error\nb\nc', 'nothing of a line that began before');
  assert.equal(await read(path, { until: time(4) }), 'a error\nline\nb\n');
  assert.equal(await read(path, { streams: ['stderr'] }), 'error\n');
  assert.equal(
    await read(path, { streams: ['stdout'], since: time(4), timestamps: true }),
    `${time(4)} b\n${time(5)} c`,
  );
  assert.equal(await read(path, { streams: [] }), '');
  // What has no time has that of what came before it.
  appendFileSync(path, `\nnone\n${entry(7, 'seven')}`);
  assert.equal(await read(path, { since: time(4) }), 'b\nc\nnone\nseven\n');
});

test('a log without times says so when they are wanted, at once or when it is seen', async (t) => {
  const path = join(tempDir(t), 'log');
  writeFileSync(path, 'as it is\n');
  for (const hasEntries of [true, false]) {
    assert.equal(await read(path, {}, hasEntries), 'as it is\n');
    for (const selection of [{ timestamps: true }, { since: time(1) }, { until: time(1) }])
      await assert.rejects(async () => read(path, selection, hasEntries), FailedPreconditionError);
  }
  await assert.rejects(
    async () => read(path, { timestamps: true }),
    /log is what was printed, as it is, without times/,
  );
});

test('the last lines of entries: pieces count once, and so does a line of either stream that has not ended', (t) => {
  const path = join(tempDir(t), 'log');
  const lines = [
    entry(1, 'one'),
    entry(2, 'tw', 'stdout', 'P'),
    entry(3, 'o'),
    entry(4, 'error', 'stderr'),
    'none\n',
    entry(5, 'fi', 'stdout', 'P'),
    entry(6, 've', 'stdout', 'P'),
  ];
  writeFileSync(`${path}.1`, lines.slice(0, 2).join(''));
  writeFileSync(path, lines.slice(2).join(''));
  const offsets = lines.slice(2).map((_, i) => lines.slice(2, 2 + i).join('').length);
  const at = (count: number): number[] => {
    const { inode, offset } = lastEntries(path, count);
    return [locate(path, inode).file, offset];
  };
  assert.deepEqual([0, 1, 2, 3, 4, 5, 99].map(at), [
    [0, lines.slice(2).join('').length],
    [0, offsets[3]!],
    [0, offsets[2]!],
    [0, offsets[1]!],
    [1, lines[0]!.length],
    [1, 0],
    [1, 0],
  ]);
});

test('moments are what docker takes them for', () => {
  const now = Date.UTC(2026, 10, 29, 12);
  const of = (text: string): string | undefined => {
    const moment = momentOf(text, now);
    return moment === undefined ? undefined : rfc3339(moment);
  };
  const local = (...parts: [number, number, number, number?, number?, number?]): string =>
    `${new Date(...parts).toISOString().slice(0, 19)}.000000000Z`;
  const cases: [string, string | undefined][] = [
    ['10m', '2026-11-29T11:50:00.000000000Z'],
    ['1h30m', '2026-11-29T10:30:00.000000000Z'],
    ['1.5s', '2026-11-29T11:59:58.500000000Z'],
    ['100ns', '2026-11-29T11:59:59.999999900Z'],
    ['-10m', '2026-11-29T12:10:00.000000000Z'],
    ['0', '1970-01-01T00:00:00.000000000Z'],
    ['1136073600', '2006-01-01T00:00:00.000000000Z'],
    ['1136073600.000000001', '2006-01-01T00:00:00.000000001Z'],
    ['1136073600.5', '2006-01-01T00:00:00.500000000Z'],
    ['2013-01-02T00:00:23.323Z', '2013-01-02T00:00:23.323000000Z'],
    ['2013-01-02T00:00:23.123456789+01:30', '2013-01-01T22:30:23.123456789Z'],
    ['2013-01-02T00:00:23Z', '2013-01-02T00:00:23.000000000Z'],
    ['2013-01-02T10:20-02:00', '2013-01-02T12:20:00.000000000Z'],
    ['2013-01-02T10Z', '2013-01-02T10:00:00.000000000Z'],
    ['2013-01-02Z', '2013-01-02T00:00:00.000000000Z'],
    ['2013-01-02+01:00', '2013-01-01T23:00:00.000000000Z'],
    ['2013-01-02', local(2013, 0, 2)],
    ['2013-01-02T10', local(2013, 0, 2, 10)],
    ['2013-01-02T10:20:30', local(2013, 0, 2, 10, 20, 30)],
  ];
  for (const [text, expected] of cases) assert.equal(of(text), expected, text);
  for (const text of [
    '',
    'x',
    'today',
    '2013-02-30',
    '2013-13-01',
    '2013-01-02T25',
    '2013-01-02T10:60',
    '2013-1-2',
    '1.2.3',
    '10 m',
    'm',
    '1e3',
  ])
    assert.equal(of(text), undefined, text);
});

test('where a log is, and whether it has entries, its URI says', () => {
  assert.deepEqual(logPlace('file:///var/x%20y.log?format=cri&max-size=10m&max-files=3'), {
    path: '/var/x y.log',
    hasEntries: true,
    maxSize: 10 << 20,
    maxFiles: 3,
  });
  assert.deepEqual(logPlace('file:///x'), { path: '/x', hasEntries: false, maxSize: undefined, maxFiles: 5 });
  assert.equal(logPlace('/run/fifo'), undefined);
  assert.equal(logPlace('binary:///logger'), undefined);
});

test("the command line's own log is the shim's: entries, whole ones in each file, so many files", (t) => {
  const path = join(tempDir(t), 'deep', 'log');
  const writer = new LogWriter({ path, hasEntries: true, maxSize: 500, maxFiles: 3 }, assert.fail);
  assert.ok(existsSync(path), 'a container that prints nothing has an empty log');
  let all = '';
  for (let i = 0; i < 50; i++) {
    writer.write(i % 2 ? 'stderr' : 'stdout', Buffer.from(`line ${i}\n`));
    if (i % 2 === 0) all += `line ${i}\n`;
  }
  writer.write('stdout', Buffer.from('x'.repeat(1000)));
  writer.write('stdout', Buffer.from('\n'));
  all += `${'x'.repeat(1000)}\n`;
  writer.close();
  const parts = logParts(path);
  assert.equal(parts.length, 3);
  assert.ok(parts.every((part) => part.length <= 500 || entriesIn(part).length === 1));
  assert.ok(all.endsWith(printed(parts.flatMap(entriesIn))));

  // One that was cut off is ended before the next begins.
  writeFileSync(path, '2026-11-29T10:00');
  const again = new LogWriter({ path, hasEntries: true, maxSize: undefined, maxFiles: 1 }, assert.fail);
  again.write('stdout', Buffer.from('next\n'));
  again.close();
  assert.match(readFileSync(path, 'utf8'), /^2026-11-29T10:00\n\S+ stdout F next\n$/);
});

test('a log that cannot be written is told of once, and goes on when it can be', (t) => {
  const dir = join(tempDir(t), 'logs');
  writeFileSync(dir, 'in the way');
  const warnings: string[] = [];
  const path = join(dir, 'log');
  const writer = new LogWriter({ path, hasEntries: true, maxSize: undefined, maxFiles: 1 }, (text) =>
    warnings.push(text),
  );
  for (const text of ['one\n', 'two\n']) writer.write('stdout', Buffer.from(text));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /log cannot be written, and what is printed meanwhile is not kept: E/);
  rmSync(dir);
  mkdirSync(dir);
  writer.write('stdout', Buffer.from('three\n'));
  writer.close();
  assert.equal(printed(entriesIn(readFileSync(path, 'latin1'))), 'three\n');
});

test('following entries loses nothing while the log is rotated, and ends at its time', async (t) => {
  const path = join(tempDir(t), 'log');
  writeFileSync(path, entry(1, 'begin'));
  const soon = rfc3339(momentOf('-1.5s')!);
  const reader = new LogReader(place(path), { until: soon });
  const seen = (async () => {
    let text = '';
    for await (const pieces of reader) for (const { bytes } of pieces) text += bytes.toString();
    return text;
  })();
  let expected = 'begin\n';
  for (let i = 0; i < 200; i++) {
    // Cut in the middle of an entry now and then.
    const [head, rest] = [entry(2, `line ${i}`).slice(0, 20), entry(2, `line ${i}`).slice(20)];
    appendFileSync(path, head);
    if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    appendFileSync(path, rest);
    expected += `line ${i}\n`;
    if (i % 50 === 49) {
      for (let n = 5; n >= 1; n--) if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
      renameSync(path, `${path}.1`);
      writeFileSync(path, '');
    }
  }
  assert.equal(await seen, expected);
});
