/** `file://…?format=cri`: a log of entries with their times and streams, whoever writes it: the worker, a thread of it, or the monitor. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { containerIn, stateOf } from '../support/debug.js';
import { entriesIn, logParts, printed, type Entry } from '../support/entries.js';
import { eventually } from '../support/eventually.js';
import { Installation } from '../support/installation.js';
import { fails, shimTest } from '../support/shim.js';
import { both, printAtOnce } from '../support/logs.js';
import {
  OBEDIENT,
  asleep,
  end,
  endAfterSleeping,
  killWorker,
  obedient,
  only,
  over,
  running,
  wake,
} from '../support/sleeping.js';
import { sh } from '../support/spec.js';

const read = (path: string): Entry[] => entriesIn(existsSync(path) ? readFileSync(path, 'latin1') : '');
const brief = ({ stream, tag, content }: Entry): string => `${stream} ${tag} ${content}`;
const has = (path: string, expected: readonly string[]): Promise<unknown> =>
  eventually(`${path} has ${expected.join(', ')}`, () => {
    const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
    return text.endsWith('\n') && entriesIn(text).map(brief).join() === expected.join();
  }).catch(() => assert.deepEqual(read(path).map(brief), expected));

shimTest(
  'each line has its time and its stream, awake and asleep alike, and what ends in no newline is written at once',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const before = new Date().toISOString();
    const { task, input } = await obedient(lab, `file://${path}?format=cri`);
    const expected: string[] = [];
    for (let time = 0; time < 2; time++) {
      for (const how of ['awake', 'asleep']) {
        if (how === 'asleep') await asleep(task.shim);
        else await wake(task);
        await input.write(`echo ${how}; printf 'name? '\n`);
        expected.push(`stdout F ${how}`, 'stdout P name? ');
        await has(path, expected);
        await input.write(`echo Jane; echo >&2\n`);
        await has(path, [...expected, 'stdout F Jane', 'stderr F ']).catch(() =>
          has(path, [...expected, 'stderr F ', 'stdout F Jane']),
        );
        expected.push(...read(path).map(brief).slice(-2));
        if (how === 'asleep') assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
      }
    }
    const times = read(path).map(({ time }) => time);
    assert.deepEqual(times, [...times].sort());
    assert.ok(times[0]! > before && times.at(-1)! < new Date(Date.now() + 1).toISOString(), times.join());
    assert.match(JSON.stringify(containerIn(await stateOf(task.shim), 'c')), /"format":"cri"/);
    await input.write('echo the last; printf end; exit\n');
    await over(task);
    await task.delete();
    assert.deepEqual(read(path).map(brief), [...expected, 'stdout F the last', 'stdout P end']);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'any bytes can be given back, however long the lines: of both streams and an exec at once, as much as threads write',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const uri = `file://${path}?format=cri`;
    // Lines of 40,000 bytes, without an end, with none in between, and 0 bytes.
    const lot = (name: string): string =>
      `awk 'BEGIN { for (i = 1; i <= 100000; i++) printf "${name} %08d\\n", i; for (i = 0; i < 100; i++) printf "%040000d\\n\\n", i; printf "no end" }'; head -c 1000 /dev/zero`;
    const task = await printAtOnce(lab, uri, lot);
    const entries = read(path);
    const expected = (name: string): string =>
      Array.from({ length: 100_000 }, (_, i) => `${name} ${String(i + 1).padStart(8, '0')}\n`).join('') +
      Array.from({ length: 100 }, (_, i) => `${String(i).padStart(40_000, '0')}\n\n`).join('') +
      `no end${'\0'.repeat(1000)}`;
    assert.ok(printed(entries, 'stderr') === expected('err'));
    // The exec's are between those of the container; each line is one of either.
    const out = printed(entries);
    assert.equal(out.length, 2 * expected('out').length);
    for (const name of ['out', 'exe']) {
      const lines = out.match(new RegExp(`${name} \\d{8}(?=\\n)`, 'g'));
      assert.ok(lines!.length > 99_000);
      assert.deepEqual(lines, [...lines!].sort());
    }
    for (const { content } of entries) assert.ok(content.length <= 16 * 1024);
    await task.shim.shutdown();
  },
  { ...only, timeout: 120_000 },
);

for (const [name, query] of [
  ['a log', ''],
  ['a log that is rotated', '&max-size=40k&max-files=1000'],
] as const)
  shimTest(
    `what both streams print all the time is in ${name} byte for byte, however often the shim sleeps and wakes`,
    async (lab) => {
      const path = join(lab.dir, 'logs', 'x.log');
      const count =
        'trap "exit" TERM; i=0; while :; do i=$((i+1)); echo "line $i"; printf "piece $i" >&2; usleep 10000; echo >&2; done';
      const task = await running(lab, 'c', sh(count), both(`file://${path}?format=cri${query}`));
      await endAfterSleeping(task, 2);
      const parts = logParts(path);
      for (const part of parts) assert.ok(!query || part.length <= 40 * 1024, `one has ${part.length} bytes`);
      const entries = parts.flatMap(entriesIn);
      for (const [stream, word] of [
        ['stdout', 'line'],
        ['stderr', 'piece'],
      ] as const) {
        const lines = printed(entries, stream).split('\n').filter(Boolean);
        assert.ok(lines.length > 50);
        lines.forEach((line, index) => assert.equal(line, `${word} ${index + 1}`));
      }
      await task.shim.shutdown();
    },
    only,
  );

shimTest(
  'a log is rotated at whole entries, one that is longer than a file stands alone, and the shim is woken for that alone',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?format=cri&max-size=2000&max-files=100`);
    const line = (n: number): string => String(n).padStart(59, '0');
    let all = '';
    const write = async (n: number): Promise<void> => {
      await input.write(`echo ${line(n)}\n`);
      all += `${line(n)}\n`;
      await eventually(`line ${n} is there`, () => printed(logParts(path).flatMap(entriesIn)) === all);
    };
    await asleep(task.shim);
    // Entries of 100 bytes; the monitor may write 875 for each of both streams.
    for (let n = 0; n < 8; n++) await write(n);
    assert.equal(task.shim.awake, undefined, 'up to here nobody was needed');
    await write(8);
    for (let n = 9; n < 50; n++) {
      if (n === 21 || n === 35) await asleep(task.shim);
      await write(n);
    }
    assert.deepEqual(
      logParts(path).map(({ length }) => length),
      [2000, 2000, 1000],
    );
    await asleep(task.shim);
    await input.write('awk "BEGIN { printf \\"%05000d\\\\n\\", 7 }"\n');
    all += `${'7'.padStart(5000, '0')}\n`;
    await eventually('it is there', () => printed(logParts(path).flatMap(entriesIn)) === all);
    await write(51);
    const parts = logParts(path);
    assert.ok(parts.every((part) => part.length <= 2000 || entriesIn(part).length === 1));
    await end(lab, task);
  },
  only,
);

shimTest(
  'after the death of a worker a log goes on, also where it was in the middle of an entry',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?format=cri&max-size=10k`);
    await input.write('echo one; printf two\n');
    await has(path, ['stdout F one', 'stdout P two']);
    await killWorker(task);
    await input.write('echo; echo three\n');
    await has(path, ['stdout F one', 'stdout P two', 'stdout F ', 'stdout F three']);
    await asleep(task.shim);
    // As one leaves it that was killed when its disk had taken a part of a write.
    writeFileSync(path, '2026-11-29T00:00:00.000000000Z std', { flag: 'a' });
    await killWorker(task);
    await input.write('echo four\n');
    await eventually('it goes on', () => readFileSync(path, 'utf8').endsWith('Z stdout F four\n'));
    assert.match(readFileSync(path, 'utf8'), /000Z std\n\d{4}-\d\d-\d\dT[0-9:.]*Z stdout F four\n$/);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a disk that is full, asleep and awake: output waits, and no entry is broken, lost or there twice',
  async (lab) => {
    const disk = join(lab.dir, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk]);
    const path = join(disk, 'x.log');
    const ballast = join(disk, 'ballast');
    const { task, input } = await obedient(lab, `file://${path}?format=cri`);
    const text = (n: number): string => Array.from({ length: n }, (_, index) => `${index + 1}\n`).join('');
    let [out, err] = ['', ''];
    for (const how of ['asleep', 'awake']) {
      execFileSync('sh', ['-c', 'cat /dev/zero >"$0" 2>/dev/null; :', ballast]);
      if (how === 'asleep') await asleep(task.shim);
      else await wake(task);
      // More than a page of the file has room for.
      await input.write('seq 1 500 & seq 1 500 >&2; wait\n');
      await eventually('it cannot be written', async () =>
        JSON.stringify(containerIn(await stateOf(task.shim), 'c')).includes('ENOSPC'),
      );
      unlinkSync(ballast);
      [out, err] = [out + text(500), err + text(500)];
      await eventually('all is there', () => {
        const now = readFileSync(path, 'latin1');
        if (!now.endsWith('\n')) return false;
        const entries = entriesIn(now);
        return printed(entries) === out && printed(entries, 'stderr') === err;
      });
    }
    await task.remove();
    execFileSync('umount', [disk]);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'a terminal is written as standard output',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?format=cri&max-size=1m`, {
      terminal: true,
      stderr: '',
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await input.write('stty -echo; echo one\n');
    await eventually('it is written', () => read(path).map(brief).at(-1) === 'stdout F one\r');
    await asleep(task.shim);
    await input.write('echo two >&2; printf "# "\n');
    await eventually('it is written', () => read(path).map(brief).slice(-2).join() === 'stdout F two\r,stdout P # ');
    assert.equal(task.shim.awake, undefined);
    await input.write('exit\n');
    await over(task);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a monitor that another version has taken over from goes on with the log, and within the same bounds',
  async (lab) => {
    const installed = new Installation(join(lab.dir, 'installed')).install('1.0.0');
    const path = join(lab.dir, 'x.log');
    lab.bundle('c', OBEDIENT);
    const shim = await lab.shim('c', { binary: installed.binary, env: { HAWSER_SLEEP: '0.3', HAWSER_ZYGOTE: '600' } });
    const task = await shim.create('c', { stdin: true, stdout: `file://${path}?format=cri&max-size=2000`, stderr: '' });
    await task.start();
    const input = await task.stdio.input();
    let all = '';
    const write = async (n: number): Promise<void> => {
      const line = String(n).padStart(59, '0');
      await input.write(`echo ${line}\n`);
      all += `${line}\n`;
      await eventually(`line ${n} is there`, () => printed(logParts(path).flatMap(entriesIn)) === all);
    };
    await asleep(shim);
    // Entries of 100 bytes; the monitor may write 1750.
    for (let n = 0; n < 15; n++) await write(n);
    assert.equal(shim.awake, undefined);
    installed.install('2.0.0');
    const done = await lab.run(['-address', lab.grpcAddress, 'upgrade', '--all'], { binary: installed.binary });
    assert.deepEqual([done.status, done.stderr], [0, '']);
    await asleep(shim);
    for (let n = 15; n < 45; n++) await write(n);
    assert.deepEqual(
      logParts(path).map(({ length }) => length),
      [2000, 2000, 500],
    );
    await task.remove();
    await shim.shutdown();
  },
  only,
);

shimTest(
  'a format that is none is refused at Create and at Exec, by its name; raw is what there is without',
  async (lab) => {
    lab.bundle('c', sh('echo text; echo complaint >&2; sleep 1000'));
    const shim = await lab.shim('c');
    const path = join(lab.dir, 'x.log');
    const text = /^format=json: there are raw and cri, in file:\/\/.*x\.log: invalid argument$/;
    await fails(shim.create('c', both(`file://${path}?format=json`)), Code.InvalidArgument, text);
    await fails(shim.create('c', both(`file://${path}?format=`)), Code.InvalidArgument, /^format=: there are/);
    const task = await shim.create('c', both(`file://${path}?format=raw`));
    await task.start();
    await eventually('it is written', () => readFileSync(path, 'utf8') === 'text\ncomplaint\n');
    await fails(task.exec('e', ['/bin/true'], both(`file://${path}?format=json`)), Code.InvalidArgument, text);
    await task.remove();
    await shim.shutdown();
  },
  only,
);
