/**
 * Shims that write log files, and those whose output goes to loggers, sleep as others do, and lose nothing at each change of hands.
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { containerIn, metricsOf, stateOf } from '../support/debug.js';
import { logParts } from '../support/entries.js';
import { eventually, within } from '../support/eventually.js';
import { descriptorsOf, isAlive, processInfo, zombiesOf } from '../support/machine.js';
import { shimTest, STATUS, type Lab } from '../support/shim.js';
import { both } from '../support/logs.js';
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

const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const has = (path: string, text: string): Promise<unknown> =>
  eventually(`${path} is ${JSON.stringify(text.slice(-60))}`, () => read(path) === text).catch(() =>
    assert.equal(read(path), text),
  );

// ---- files ---------------------------------------------------------------------------------------------------------

shimTest(
  'a log file is written while the shim sleeps and while it is awake, and the end of the container comes after all of it',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}`);
    let all = '';
    for (let time = 0; time < 3; time++) {
      await asleep(task.shim);
      await input.write(`echo asleep ${time}; echo complaint ${time} >&2\n`);
      all += `asleep ${time}\ncomplaint ${time}\n`;
      await has(path, all);
      assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
      await wake(task);
      await input.write(`echo awake ${time}\n`);
      all += `awake ${time}\n`;
      await has(path, all);
    }
    const told = ['echo asleep 0; echo complaint 0 >&2\n', 'echo awake 0\n'].join('').length * 3;
    assert.equal((await metricsOf(task.shim)).get('copied_bytes_total'), all.length + told);
    await asleep(task.shim);
    const waiting = task.wait();
    await asleep(task.shim);
    await input.write('echo the last; exit 3\n');
    assert.equal((await within('the exit', waiting)).exitStatus, 3);
    assert.equal((await task.delete()).exitStatus, 3);
    assert.equal(read(path), `${all}the last\n`);
    await task.shim.shutdown();
  },
  only,
);

for (const [name, query] of [
  ['a file', ''],
  ['a file that is rotated', '?max-size=20k&max-files=1000'],
] as const)
  shimTest(
    `what is written all the time is in ${name} byte for byte, however often the shim sleeps and wakes`,
    async (lab) => {
      const path = join(lab.dir, 'logs', 'x.log');
      const count = 'trap "echo \\$i lines; exit" TERM; i=0; while :; do i=$((i+1)); echo "line $i"; usleep 1000; done';
      const task = await running(lab, 'c', sh(count), both(`file://${path}${query}`));
      // Twice as long each time.
      await endAfterSleeping(task, 3);
      const all = logParts(path);
      for (const part of all) assert.ok(!query || part.length <= 20 * 1024, `one has ${part.length} bytes`);
      const lines = all.join('').split('\n');
      assert.equal(lines.pop(), '');
      const [said] = /^\d+/.exec(lines.pop()!) ?? [];
      assert.equal(lines.length, Number(said));
      lines.forEach((line, index) => assert.equal(line, `line ${index + 1}`));
      await task.shim.shutdown();
    },
    only,
  );

shimTest(
  'a log is rotated at the same place whether or not the shim slept, and it is woken for that alone',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?max-size=1000`);
    // 50 bytes each, 20 to a file; what is left to the monitor ends within the eighteenth.
    const line = (n: number): string => `${String(n).padStart(49, '0')}\n`;
    const upTo = (n: number): string => Array.from({ length: n }, (_, index) => line(index)).join('');
    const write = async (n: number): Promise<void> => {
      await input.write(`echo ${line(n)}`);
      await eventually(`line ${n} is there`, () => logParts(path).join('') === upTo(n + 1));
    };
    await asleep(task.shim);
    for (let n = 0; n < 17; n++) await write(n);
    assert.equal(task.shim.awake, undefined, 'up to here nobody was needed');
    await write(17);
    await eventually('somebody is', () => task.shim.awake);
    for (let n = 18; n < 20; n++) {
      await asleep(task.shim);
      await write(n);
    }
    assert.deepEqual(
      logParts(path).map((part) => part.length),
      [1000],
    );
    await asleep(task.shim);
    await write(20);
    assert.deepEqual(logParts(path), [upTo(20), line(20)]);
    assert.equal((await stateOf(task.shim)).sleep.wokenBy, 'a stream, or want of memory');
    await end(lab, task);
  },
  only,
);

shimTest(
  'who takes a log away or wipes it finds what comes next where it would be with a shim that is awake',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}`);
    await asleep(task.shim);
    await input.write('echo one\n');
    await has(path, 'one\n');
    truncateSync(path);
    await input.write('echo two\n');
    await has(path, 'two\n');
    unlinkSync(path);
    await input.write('echo three\n');
    await wake(task);
    await asleep(task.shim);
    await input.write('echo four; exit\n');
    await over(task);
    assert.equal(existsSync(path), false, 'who has removed it has it');
    await end(lab, task);
  },
  only,
);

shimTest(
  'a disk that gets full while the shim sleeps: output waits, nothing is lost, and the shim says why it is awake',
  async (lab) => {
    const disk = join(lab.dir, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', disk]);
    const path = join(disk, 'x.log');
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(32 << 10));
    const { task, input } = await obedient(lab, `file://${path}`);
    await asleep(task.shim);
    await input.write('seq 1 8000\n');
    const cannot = `${path} cannot be written for now`;
    await eventually('it cannot sleep', async () => (await stateOf(task.shim)).sleep.cannot === cannot);
    assert.match(lab.log, /cannot be written for now, those who write to it wait: ENOSPC/);
    unlinkSync(join(disk, 'ballast'));
    const all = Array.from({ length: 8000 }, (_, index) => `${index + 1}\n`).join('');
    await has(path, all);
    await asleep(task.shim);
    await input.write('echo more\n');
    await has(path, `${all}more\n`);
    await task.remove();
    execFileSync('umount', [disk]);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'what was dropped and spilled is still known after a sleep',
  async (lab) => {
    const disk = join(lab.dir, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', disk]);
    const path = join(disk, 'x.log');
    const ballast = join(disk, 'ballast');
    const spill = join(lab.dir, 'spill.log');
    const { task, input } = await obedient(lab, `file://${path}?hawser.on-death=spill:${spill}`);
    let spilled = 0;
    for (let time = 0; time < 2; time++) {
      execFileSync('sh', ['-c', 'cat /dev/zero >"$0" 2>/dev/null; :', ballast]);
      await asleep(task.shim);
      await input.write('seq 1 2000\n');
      await eventually('it is woken', () => task.shim.awake);
      await eventually('the end is somewhere', () => `${read(path)}${read(spill)}`.trimEnd().endsWith('2000'));
      unlinkSync(ballast);
      // Written again, so that it may sleep.
      await eventually('it can be written', async () => {
        await input.write('echo again\n');
        return read(path).endsWith('again\n');
      });
      await eventually('it sleeps', () => task.shim.awake === undefined);
      spilled = statSync(spill).size;
    }
    const file = JSON.stringify(containerIn(await stateOf(task.shim), 'c'));
    assert.match(file, new RegExp(`"spilled":${spilled}\\b`));
    await task.remove();
    execFileSync('umount', [disk]);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'a limit on the size of files stops neither the monitor nor the log',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}`);
    await asleep(task.shim);
    execFileSync('prlimit', [`--pid=${task.shim.pid}`, '--fsize=5000:unlimited']);
    await input.write('seq 1 2000; echo end\n');
    await has(path, `${Array.from({ length: 2000 }, (_, index) => `${index + 1}\n`).join('')}end\n`);
    execFileSync('prlimit', [`--pid=${task.shim.pid}`, '--fsize=unlimited:unlimited']);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a terminal goes into a log file while the shim sleeps',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}`, {
      terminal: true,
      stderr: '',
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await asleep(task.shim);
    await input.write('stty -echo; echo one\n');
    await eventually('it is written', () => read(path).endsWith('one\r\n'));
    assert.equal(task.shim.awake, undefined);
    await input.write('echo two; exit\n');
    await over(task);
    await end(lab, task);
    // The exit may be told while the last of it is being written; Delete waits for that.
    assert.ok(read(path).endsWith('one\r\ntwo\r\n'), read(path));
  },
  only,
);

shimTest(
  'execs write to the log of their container over a sleep, and two files are kept apart',
  async (lab) => {
    const [out, err] = [join(lab.dir, 'out.log'), join(lab.dir, 'err.log')];
    const { task, input } = await obedient(lab, '', { stdout: `file://${out}`, stderr: `file://${err}` });
    const exec = await task.exec('e', OBEDIENT, { stdin: true, ...both(`file://${out}`) });
    await task.start('e');
    const execInput = await exec.input();
    await asleep(task.shim);
    await input.write('echo init; echo complaint >&2\n');
    await has(out, 'init\n');
    await execInput.write('echo exec\n');
    await has(out, 'init\nexec\n');
    await has(err, 'complaint\n');
    assert.equal(task.shim.awake, undefined);
    await execInput.write('exit 4\n');
    assert.equal((await task.wait('e')).exitStatus, 4);
    await task.delete('e');
    await asleep(task.shim);
    await input.write('echo init again\n');
    await has(out, 'init\nexec\ninit again\n');
    await end(lab, task);
  },
  only,
);

shimTest(
  'asleep it has next to nothing, and the container has none of its files',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?max-size=1m`);
    await asleep(task.shim);
    await input.write('echo one\n');
    await has(path, 'one\n');
    const [, dirty] = /^Private_Dirty:\s+(\d+) kB/m.exec(
      readFileSync(`/proc/${task.shim.pid}/smaps_rollup`, 'latin1'),
    )!;
    assert.ok(Number(dirty) <= 204, `${dirty} kB`);
    assert.equal(processInfo(task.pid)?.ppid, task.shim.pid);
    for (const fd of [0, 1, 2]) assert.match(readlinkSync(`/proc/${task.pid}/fd/${fd}`), /^pipe:/);
    const before = statSync(path);
    await input.write(': >/proc/self/fd/1; chmod 4777 /proc/self/fd/1; echo two\n');
    await has(path, 'one\ntwo\n');
    const { mode, uid, ino } = statSync(path);
    assert.deepEqual([mode, uid, ino], [before.mode, before.uid, before.ino]);
    assert.equal(task.shim.awake, undefined);
    await end(lab, task);
  },
  only,
);

shimTest(
  'output that goes nowhere, of an exec in a container without a /dev/null, is read while the shim sleeps',
  async (lab) => {
    const task = await running(lab, 'c', sh('rm /dev/null; echo >/dev/null; echo ready; sleep 1000'));
    await task.out.saw('ready');
    // More than a pipe holds each time.
    const script =
      'i=0; while :; do head -c 100000 /dev/zero; i=$((i+1)); echo "round $i" >/proc/1/fd/1; sleep 0.1; done';
    await task.exec('e', sh(script), { stdout: '', stderr: '' });
    await task.start('e');
    for (let time = 0; time < 2; time++) {
      await asleep(task.shim);
      const before = task.out.text.length;
      await eventually('it goes on', () => task.out.text.length > before + 30);
      assert.equal(task.shim.awake, undefined);
      assert.equal((await task.state('e')).status, STATUS.RUNNING);
    }
    await task.kill(9, { execId: 'e' });
    await task.wait('e');
    await task.delete('e');
    await end(lab, task);
  },
  only,
);

// ---- loggers -------------------------------------------------------------------------------------------------------

/** Reads both streams to their end, into NAME.out and NAME.err, NAME being the id it is told. */
const COPY =
  'exec 5>&-; cat <&4 >>"$dir/$CONTAINER_ID.err" & cat <&3 >>"$dir/$CONTAINER_ID.out"; wait; echo end >>"$dir/$CONTAINER_ID.out"';
/** Reads lines of standard output until it is told to die. */
const MORTAL =
  'exec 5>&-; while read -r line <&3; do [ "$line" = die ] && exit 9; echo "$line" >>"$dir/$CONTAINER_ID.out"; done';

function logger(lab: Lab, script: string): string {
  const path = join(lab.dir, 'logger');
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\ndir=${lab.dir}\necho $$ >"$dir/$CONTAINER_ID.pid"\n${script}\n`, {
    mode: 0o755,
  });
  return path;
}

const pidOf = (lab: Lab): number => Number(read(join(lab.dir, 'c.pid')));

shimTest(
  'a logger gets both streams while the shim sleeps, all of them in order, and then their end',
  async (lab) => {
    const [out, err] = [join(lab.dir, 'c.out'), join(lab.dir, 'c.err')];
    const { task, input } = await obedient(lab, `binary://${logger(lab, COPY)}`);
    let [all, complaints] = ['', ''];
    for (let time = 0; time < 3; time++) {
      await asleep(task.shim);
      assert.equal(processInfo(pidOf(lab))?.ppid, task.shim.pid);
      await input.write(`seq ${time}000 ${time}999; seq 1 20000 >&2\n`);
      for (let n = time * 1000; n < (time + 1) * 1000; n++) all += `${String(n).replace(/^0+(?=0)/, '')}\n`;
      for (let n = 1; n <= 20_000; n++) complaints += `${n}\n`;
      await has(out, all);
      await has(err, complaints);
      assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
      await wake(task);
    }
    await asleep(task.shim);
    await input.write('echo last; echo last >&2; exit 5\n');
    await over(task);
    assert.equal((await task.delete()).exitStatus, 5);
    assert.equal(read(out), `${all}last\nend\n`);
    assert.equal(read(err), `${complaints}last\n`);
    assert.deepEqual(zombiesOf(task.shim.pid), []);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'a logger that dies while the shim sleeps is started anew, and what comes meanwhile waits for it',
  async (lab) => {
    const out = join(lab.dir, 'c.out');
    const { task, input } = await obedient(lab, `binary://${logger(lab, MORTAL)}?hawser.on-death=restart`);
    let all = '';
    for (let time = 1; time <= 2; time++) {
      await asleep(task.shim);
      const before = pidOf(lab);
      await input.write(`echo die; echo after ${time}\n`);
      all += `after ${time}\n`;
      await has(out, all);
      assert.notEqual(pidOf(lab), before);
      assert.equal(isAlive(before), false);
      const described = JSON.stringify(containerIn(await stateOf(task.shim), 'c'));
      assert.match(described, new RegExp(`"pid":${pidOf(lab)},"onDeath":"restart","restarts":${time}\\b`));
    }
    await asleep(task.shim);
    await input.write('echo last; exit\n');
    await over(task);
    await task.delete();
    assert.equal(read(out), `${all}last\n`);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'a logger that dies while the shim sleeps: by default its output waits, and the shim sleeps on',
  async (lab) => {
    const { task, input } = await obedient(lab, `binary://${logger(lab, MORTAL)}`);
    await asleep(task.shim);
    await input.write('echo die\n');
    await eventually('it is told', () =>
      lab.log.includes('ended with status 9 before its input did; its output waits'),
    );
    await asleep(task.shim);
    await input.write('echo unheard\n');
    const described = JSON.stringify(containerIn(await stateOf(task.shim), 'c'));
    assert.match(described, /"status":9,"restarts":0,"dropped":0/);
    await asleep(task.shim);
    // A pipe that is full, and a container that waits for it, until it is killed.
    await input.write('seq 1 50000\n');
    await asleep(task.shim);
    await end(lab, task);
    assert.match(lab.log, /bytes of the output of c were (never read by its logger|dropped)/);
  },
  only,
);

shimTest(
  'what a dead logger does not read is dropped, and counted over sleeps, or spilled, without a worker',
  async (lab) => {
    const text = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('');
    const { task, input } = await obedient(lab, `binary://${logger(lab, MORTAL)}?hawser.on-death=drop`);
    await asleep(task.shim);
    await input.write('echo die\n');
    await eventually('it is told', () => lab.log.includes('its output is dropped from now on'));
    for (let time = 1; time <= 2; time++) {
      await asleep(task.shim);
      await input.write('seq 1 20000\n');
      await input.write('seq 1 20000 >&2\n');
      const dropped = time * 2 * text.length;
      // Both are read once the second has been written to its end: it would block otherwise.
      await eventually(`${dropped} bytes are dropped`, async () =>
        JSON.stringify(containerIn(await stateOf(task.shim), 'c')).includes(`"dropped":${dropped}`),
      );
    }
    await end(lab, task);
  },
  only,
);

shimTest(
  'what a dead logger does not read is spilled into a file while the shim sleeps',
  async (lab) => {
    const spill = join(lab.dir, 'spill.log');
    const { task, input } = await obedient(lab, `binary://${logger(lab, MORTAL)}?hawser.on-death=spill:${spill}`);
    await asleep(task.shim);
    await input.write('echo die\n');
    await eventually('it is told', () => lab.log.includes(`its output goes to ${spill} from now on`));
    let all = '';
    for (let time = 1; time <= 2; time++) {
      await asleep(task.shim);
      await input.write(`echo spilled ${time}\n`);
      all += `spilled ${time}\n`;
      await has(spill, all);
      assert.equal(task.shim.awake, undefined);
      await wake(task);
    }
    await input.write('echo last; exit\n');
    await over(task);
    await task.delete();
    assert.equal(read(spill), `${all}last\n`);
    await task.shim.shutdown();
  },
  only,
);

shimTest(
  'a logger of a terminal, and that of an exec, outlive a sleep; nothing is open twice after it',
  async (lab) => {
    const uri = `binary://${logger(lab, COPY)}`;
    const { task, input } = await obedient(lab, uri, {
      terminal: true,
      stderr: '',
      edit: (spec) => {
        spec.process.terminal = true;
      },
    });
    await input.write('stty -echo; echo ready\n');
    await eventually('it is heard', () => read(join(lab.dir, 'c.out')).endsWith('ready\r\n'));
    await task.exec('e', sh('echo exec; sleep 1000'), both(uri));
    await task.start('e');
    await has(join(lab.dir, 'e.out'), 'exec\n');
    const before = descriptorsOf(task.shim.worker).filter((line) => /pipe|pt/.test(line)).length;
    await asleep(task.shim);
    await input.write('echo one\n');
    await eventually('it is written', () => read(join(lab.dir, 'c.out')).endsWith('one\r\n'));
    assert.equal(task.shim.awake, undefined);
    await task.kill(9, { execId: 'e' });
    await task.wait('e');
    await asleep(task.shim);
    await task.delete('e');
    assert.equal(read(join(lab.dir, 'e.out')), 'exec\nend\n');
    assert.ok(descriptorsOf(task.shim.worker).filter((line) => /pipe|pt/.test(line)).length <= before);
    await end(lab, task);
  },
  only,
);

// ---- a worker that is killed -----------------------------------------------------------------------------------------

shimTest(
  'after the death of a worker a log goes on where it was, and is rotated at its place, before and after',
  async (lab) => {
    const path = join(lab.dir, 'x.log');
    const { task, input } = await obedient(lab, `file://${path}?max-size=1000`);
    const line = (n: number): string => `${String(n).padStart(49, '0')}\n`;
    const upTo = (n: number): string => Array.from({ length: n }, (_, index) => line(index)).join('');
    let n = 0;
    const write = async (to: number): Promise<void> => {
      for (; n < to; n++) {
        await input.write(`echo ${line(n)}`);
        await eventually(`line ${n} is there`, () => logParts(path).join('') === upTo(n + 1));
      }
    };
    await write(10);
    await killWorker(task);
    await write(21);
    assert.deepEqual(
      logParts(path).map((part) => part.length),
      [1000, 50],
    );
    await killWorker(task);
    await write(41);
    assert.deepEqual(
      logParts(path).map((part) => part.length),
      [1000, 1000, 50],
    );
    await asleep(task.shim);
    await write(42);
    await end(lab, task);
  },
  only,
);

shimTest(
  'after the death of a worker a logger is still watched over, and has all that comes, and its end',
  async (lab) => {
    const out = join(lab.dir, 'c.out');
    const { task, input } = await obedient(lab, `binary://${logger(lab, MORTAL)}?hawser.on-death=restart`);
    await input.write('echo one\n');
    await has(out, 'one\n');
    const pid = pidOf(lab);
    await killWorker(task);
    assert.equal(isAlive(pid), true);
    await input.write('echo two; echo die; echo three\n');
    await has(out, 'one\ntwo\nthree\n');
    assert.notEqual(pidOf(lab), pid);
    await killWorker(task);
    await asleep(task.shim);
    await input.write('echo four; exit 6\n');
    await over(task);
    assert.equal((await task.delete()).exitStatus, 6);
    assert.equal(read(out), 'one\ntwo\nthree\nfour\n');
    await task.shim.shutdown();
  },
  only,
);
