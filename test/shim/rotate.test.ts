/** `file://` with rotation in its query, and what happens when the file cannot be written. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { both, printAtOnce } from '../support/logs.js';
import { isAlive, quietly } from '../support/machine.js';
import { fails, hawserOnly, shimTest, type Lab, type Task } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

const count = (n: number): string => `i=0; while [ $i -lt ${n} ]; do i=$((i+1)); echo "line $i"; done`;
const lines = (n: number): string => Array.from({ length: n }, (_, i) => `line ${i + 1}\n`).join('');

async function end(task: Task): Promise<void> {
  await task.start();
  await within('the exit', task.wait());
  await task.delete();
}

/** x.log and what became of it, the oldest first. */
function parts(path: string): string[] {
  const older: string[] = [];
  for (let n = 1; existsSync(`${path}.${n}`); n++) older.unshift(readFileSync(`${path}.${n}`, 'utf8'));
  return [...older, readFileSync(path, 'utf8')];
}

const isTold = (lab: Lab, text: RegExp): Promise<unknown> =>
  eventually(`the shim's log has ${text}`, () => text.test(lab.log));

shimTest(
  'a log is rotated by size, between lines, and nothing is lost when Delete returns',
  async (lab) => {
    const path = join(lab.dir, 'logs', 'x.log');
    await end(await lab.task('c', sh(count(20_000)), both(`file://${path}?max-size=20k&max-files=100`)));
    const all = parts(path);
    assert.equal(all.join(''), lines(20_000));
    assert.ok(all.length >= 9, `${all.length} files`);
    for (const part of all) {
      assert.ok(part.length <= 20 * 1024, `one has ${part.length} bytes`);
      assert.match(part, /^line \d+\n[^]*\n$/);
    }
  },
  { skip: hawserOnly },
);

shimTest(
  'as many files are kept as the URI says, the newest',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    // Left by somebody who kept more.
    for (const n of [3, 4]) writeFileSync(`${path}.${n}`, 'old');
    await end(await lab.task('c', sh(count(5000)), both(`file://${path}?max-size=4k&max-files=3`)));
    assert.deepEqual(
      readdirSync(lab.dir)
        .filter((name) => name.startsWith('x.log'))
        .sort(),
      ['x.log', 'x.log.1', 'x.log.2'],
    );
    const kept = parts(path).join('');
    assert.ok(lines(5000).endsWith(kept));
    assert.ok(kept.length > 8 * 1024 - 1024);
    const single = join(lab.dir, 'single.log');
    lab.bundle('d', sh(count(3000)));
    await end(await (await lab.shim('d')).create('d', both(`file://${single}?max-size=4k&max-files=1`)));
    assert.deepEqual(
      readdirSync(lab.dir).filter((name) => name.startsWith('single')),
      ['single.log'],
    );
    assert.ok(lines(3000).endsWith(readFileSync(single, 'utf8')));
  },
  { skip: hawserOnly },
);

shimTest(
  'field 20: stdout, stderr and execs share one file and one rotation; 5 MB from each arrive whole',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const uri = `file://${path}?max-size=1m&max-files=1000`;
    const lot = (name: string): string => `awk 'BEGIN { for (i = 1; i <= 400000; i++) printf "${name} %08d\\n", i }'`;
    await printAtOnce(lab, uri, lot);
    const all = parts(path);
    assert.equal(all.join('').length, 3 * 400_000 * 13);
    for (const part of all) assert.ok(part.length <= 1 << 20);
    // Streams meet where a pipe's content was cut, as they always did; each one's own bytes keep their order.
    const seen = all
      .join('')
      .split('\n')
      .filter((line) => /^exe \d{8}$/.test(line));
    assert.deepEqual(seen, [...seen].sort());
  },
  { skip: hawserOnly, timeout: 120_000 },
);

shimTest(
  'without a query the container has the file itself; a key that means nothing is passed over, and said',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const task = await lab.task('c', sh(count(2000)), both(`file://${path}?maxsize=1k`));
    await end(task);
    assert.equal(readFileSync(path, 'utf8'), lines(2000));
    await isTold(lab, /file:.*x\.log\?maxsize=1k: maxsize means nothing in a file:/);
  },
  { skip: hawserOnly },
);

shimTest(
  "a terminal's output is rotated too",
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const edit = (spec: TestSpec): void => {
      spec.process.terminal = true;
    };
    await end(
      await lab.task('c', sh(count(3000)), {
        terminal: true,
        edit,
        stdout: `file://${path}?max-size=8k&max-files=50`,
        stderr: '',
      }),
    );
    const all = parts(path);
    assert.equal(all.join(''), lines(3000).replaceAll('\n', '\r\n'));
    assert.ok(all.length > 3);
  },
  { skip: hawserOnly },
);

shimTest(
  'sizes, counts and policies that are none are refused at Create and at Exec',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const path = join(lab.dir, 'x.log');
    const refused: [string, RegExp][] = [
      [
        'max-size=much',
        /^max-size=much: it is a number of bytes above 0, with k, m or g behind it for more: invalid argument$/,
      ],
      ['max-size=0', /max-size=0/],
      ['max-size=-1', /max-size=-1/],
      ['max-size', /max-size=/],
      ['max-size=1t', /max-size=1t/],
      ['max-size=1k&max-files=0', /max-files=0: it is a number from 1 to 9999/],
      ['max-size=1k&max-files=x', /max-files=x/],
      ['max-files=3', /max-files=3 says nothing without a max-size/],
      ['max-size=1k&hawser.on-death=restart', /hawser\.on-death=restart is for logging binaries/],
      [
        `max-size=1k&hawser.on-death=spill:${path}`,
        /spill:.*x\.log: it is block, drop, restart, or spill:\/path\/to\/another\/file/,
      ],
    ];
    for (const [query, text] of refused)
      await fails(shim.create('c', both(`file://${path}?${query}`)), Code.InvalidArgument, text);
    assert.equal(existsSync(path), false);
    const task = await shim.create('c', { stdio: lab.stdio('fine') });
    await task.start();
    for (const [query, text] of refused)
      await fails(task.exec('e', ['/bin/true'], both(`file://${path}?${query}`)), Code.InvalidArgument, text);
    lab.bundle('d');
    await fails(shim.create('d', both(`file://${lab.dir}?max-size=1k`)), Code.Unknown, /EISDIR.*hawser-shim-/);
  },
  { skip: hawserOnly },
);

shimTest(
  'a log that somebody else has moved away is not moved again: a new one is begun',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const task = await lab.task('c', sh(`${count(100)}; read go; ${count(3000)}`), {
      stdin: true,
      ...both(`file://${path}?max-size=4k&max-files=100`),
    });
    await task.start();
    await eventually('all is written', () => quietly(() => readFileSync(path, 'utf8'))?.endsWith('line 100\n'));
    spawnSync('mv', [path, `${path}-theirs`]);
    const client = await task.stdio.input();
    await client.write('go\n');
    await task.wait();
    await task.delete();
    const theirs = readFileSync(`${path}-theirs`, 'utf8');
    assert.equal(theirs + parts(path).join(''), lines(100) + lines(3000));
  },
  { skip: hawserOnly },
);

// ---- files that cannot be written --------------------------------------------------------------------------------

/** A small file system with a log on it, filled up to the last byte. */
function fullDisk(lab: Lab): { path: string; ballast: string } {
  const disk = join(lab.dir, 'disk');
  mkdirSync(disk);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]).status, 0);
  lab.defer(() => void spawnSync('umount', ['-l', disk]));
  return { path: join(disk, 'x.log'), ballast: join(disk, 'ballast') };
}

/** A container that fills the disk's rest, and then writes much more than a pipe and the shim hold. */
async function overflowing(
  lab: Lab,
  query: string,
): Promise<{ task: Task; path: string; makeRoom: () => void; fill: () => Promise<void> }> {
  const { path, ballast } = fullDisk(lab);
  const task = await lab.task(
    'c',
    sh(`echo begin; read go; ${count(60_000)}; echo done >&2; read stop; echo late; read stop`),
    { stdin: true, stdout: `file://${path}?${query}` },
  );
  await task.start();
  const client = await task.stdio.input();
  await eventually('the beginning is written', () => quietly(() => readFileSync(path, 'utf8')) === 'begin\n');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k']);
  // The last page of the file itself has room yet.
  return { task, path, makeRoom: () => unlinkSync(ballast), fill: () => client.write('go\n') };
}

shimTest(
  'field 15: by default a full disk makes the container wait, and nothing is lost when there is room again',
  async (lab) => {
    const { task, path, makeRoom, fill } = await overflowing(lab, 'max-size=100m');
    await fill();
    await isTold(lab, /x\.log cannot be written for now, those who write to it wait: .*ENOSPC/);
    // It is tried again, and again.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal(task.err.text, '');
    assert.ok(isAlive(task.pid));
    makeRoom();
    await task.err.saw('done\n');
    await task.remove();
    assert.equal(readFileSync(path, 'utf8'), `begin\n${lines(60_000)}`);
    await isTold(lab, /x\.log can be written again; so far 0 bytes were dropped/);
  },
  { skip: hawserOnly },
);

shimTest(
  'field 15: with drop the container goes on while the disk is full; what was dropped is counted, and writing goes on later',
  async (lab) => {
    const { task, path, makeRoom, fill } = await overflowing(lab, 'max-size=100m&hawser.on-death=drop');
    await fill();
    await task.err.saw('done\n');
    await isTold(lab, /x\.log cannot be written for now, what is meant for it is dropped: .*ENOSPC/);
    makeRoom();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const client = await task.stdio.input();
    await client.write('stop\n');
    await eventually('what comes later is written', () => readFileSync(path, 'utf8').endsWith('late\n'));
    await task.remove();
    const kept = readFileSync(path, 'utf8');
    const lost = `begin\n${lines(60_000)}late\n`.length - kept.length;
    assert.ok(lost > 0);
    await isTold(lab, new RegExp(`${lost} bytes for .*x\\.log were dropped in all`));
  },
  { skip: hawserOnly },
);

shimTest(
  'field 15: with spill it goes elsewhere while the disk is full',
  async (lab) => {
    const spill = join(lab.dir, 'spilled.log');
    const { task, path, fill } = await overflowing(lab, `max-size=100m&hawser.on-death=spill:${spill}`);
    await fill();
    await task.err.saw('done\n');
    await task.remove();
    assert.equal(readFileSync(path, 'utf8') + readFileSync(spill, 'utf8'), `begin\n${lines(60_000)}`);
    await isTold(lab, new RegExp(`${statSync(spill).size} bytes for .*x\\.log went to .*spilled\\.log in all`));
  },
  { skip: hawserOnly },
);

shimTest(
  'a disk that stays full does not hold up Delete for ever, and what is lost is said',
  async (lab) => {
    const { task, fill } = await overflowing(lab, 'max-size=100m');
    await fill();
    await isTold(lab, /cannot be written for now/);
    await within('the end', task.remove(), 40_000);
    await isTold(lab, /\d+ bytes for .*x\.log were dropped in all/);
  },
  { skip: hawserOnly },
);
