/**
 * Shims that run go on with another version of the program (src/monitor/replace.c, src/shim/program/upgrade.ts).
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isForked, stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { exchange, Installation, type Edit } from '../support/installation.js';
import { descriptorsOf, isIdleZygote, processInfo, zygotesIn } from '../support/machine.js';
import { shimTest, STATUS, type ActionResult, type Lab, type Shim, type Task } from '../support/shim.js';
import { asleep, only } from '../support/sleeping.js';
import { sh } from '../support/spec.js';

const SLEEPS = { HAWSER_SLEEP: '0.3' };
const RECORD_FORMAT = /record: (\d+)/.exec(readFileSync('src/shim/worker/format.ts', 'utf8'))![1]!;

const place = (lab: Lab, name = 'installed'): Installation => new Installation(join(lab.dir, name));

async function run(lab: Lab, binary: string, id: string, args?: readonly string[], env: object = {}): Promise<Task> {
  lab.bundle(id, args);
  const shim = await lab.shim(id, { binary, env: { ...env } });
  const task = await shim.create(id);
  await task.start();
  return task;
}

function upgrade(lab: Lab, binary: string, ...words: string[]): Promise<ActionResult> {
  return lab.run(['-address', lab.grpcAddress, 'upgrade', ...words], { binary });
}

const linesOf = ({ stdout }: ActionResult): string[] => stdout.toString().split('\n').filter(Boolean).sort();

/** Of the worker; where its files have been replaced meanwhile there is only a raw dump. */
async function versionOf(shim: Shim): Promise<string | undefined> {
  const { version, build } = (await stateOf(shim)) as { version?: string; build?: string };
  return version ?? build?.split(' ')[0];
}

/** Waits for all of them; a test that fails has its own error. */
function waitsOf(...tasks: Task[]): ReturnType<Task['wait']>[] {
  const waits = tasks.map((task) => task.wait());
  for (const wait of waits) wait.catch(() => undefined);
  return waits;
}

const inodeOf = (pid: number): number => statSync(`/proc/${pid}/exe`).ino;

/** What anybody sees of a monitor, but for its program. */
function looksOf({ pid }: Shim): unknown {
  const text = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'latin1');
  const status = text('status')
    .split('\n')
    .filter((line) => /^(Name|State|Pid|PPid|Uid|Gid|Groups|Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|NSpid):/.test(line));
  const stat = text('stat').split(') ').at(-1)!.split(' ');
  const files = descriptorsOf(pid).map((line) => line.replace(/^\d+ /, ''));
  return {
    status,
    words: text('cmdline'),
    environment: text('environ')
      .split('\0')
      .filter(
        (one) => !/^NODE_|^HAWSER_(WAKE|SOCKET|DEBUG|LAUNCHED_AT|ANSWERED_AT|DAEMON_PID|TAKE_OVER|NOFILE)=/.test(one),
      )
      .sort(),
    group: stat.slice(2, 5),
    cwd: readlinkSync(`/proc/${pid}/cwd`),
    score: text('oom_score_adj'),
    files: files.filter((one) => !one.includes('[signalfd]')).sort(),
  };
}

async function end(lab: Lab, ...tasks: Task[]): Promise<void> {
  for (const task of tasks) {
    if ((await task.state()).status === STATUS.STOPPED) await task.delete();
    else await task.remove();
    await task.shim.shutdown();
  }
  await lab.assertNothingLeft();
}

shimTest(
  'one that is awake and one that sleeps go on with the version that was installed over theirs, and nobody notices',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const awake = await run(lab, installed.binary, 'awake');
    const sleeps = await run(lab, installed.binary, 'sleeps', undefined, SLEEPS);
    const both = [awake, sleeps];
    const waits = waitsOf(...both);
    await asleep(sleeps.shim);
    const programs = both.map(({ shim }) => inodeOf(shim.pid));
    installed.install('2.0.0');
    const rev = readFileSync(join(installed.library, 'shim.version'), 'utf8').trim().split(' ')[1]!;

    const dry = await upgrade(lab, installed.binary, '--all', '--dry-run');
    assert.deepEqual([dry.status, dry.stderr], [0, '']);
    assert.deepEqual(
      linesOf(dry),
      ['awake', 'sleeps'].map((id) => `hawser-test/${id}: runs 1.0.0 (${rev}), would run 2.0.0 (${rev})`),
    );
    assert.deepEqual(
      both.map(({ shim }) => inodeOf(shim.pid)),
      programs,
    );
    // By now the monitor has done with its last worker, too.
    const before = looksOf(sleeps.shim);
    assert.equal(await versionOf(awake.shim), '1.0.0', 'what is awake has what it had');

    const done = await upgrade(lab, installed.binary, '--all');
    assert.deepEqual([done.status, done.stderr], [0, '']);
    assert.deepEqual(
      linesOf(done),
      ['awake', 'sleeps'].map((id) => `hawser-test/${id}: ran 1.0.0 (${rev}), runs 2.0.0 (${rev})`),
    );
    assert.deepEqual(looksOf(sleeps.shim), before, 'pid, name, words, descriptors and all');
    for (const { shim, pid } of both) {
      assert.equal(inodeOf(shim.pid), statSync(installed.binary).ino);
      assert.equal(processInfo(pid)?.ppid, shim.pid, 'its children are its children');
      assert.equal(await versionOf(shim), '2.0.0');
    }
    const again = await upgrade(lab, installed.binary, '--all');
    assert.deepEqual(
      linesOf(again),
      ['awake', 'sleeps'].map((id) => `hawser-test/${id}: runs 2.0.0 (${rev}) already`),
    );
    assert.deepEqual(
      readdirSync(lab.runDir).filter((name) => name.startsWith('upgrade')),
      [],
    );

    for (const { pid } of both) process.kill(pid, 'SIGKILL');
    for (const wait of waits) assert.equal((await wait).exitStatus, 137, 'who waits from before is answered');
    for (const { id } of both) await lab.daemon.saw('exit', id);
    await end(lab, ...both);
    for (const { id } of both) assert.deepEqual(lab.daemon.story(id), ['create', 'start', `exit ${id} 137`, 'delete']);
  },
  only,
);

/** Numbered lines without end, until it is told to stop. */
const COUNT = 'n=0; while [ ! -e /stop ]; do echo line $n; n=$((n+1)); done; echo end';

shimTest(
  'output, input and a terminal go on byte for byte through many upgrades, awake and asleep',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const lines = 300_000;
    const script = `read word; seq 1 ${lines}; echo "$word"; read word; echo "$word" >&2; exit 3`;
    const expected = `${Array.from({ length: lines }, (_, i) => i + 1).join('\n')}\n`;
    const start = async (id: string, terminal: boolean, env: object): Promise<Task> => {
      lab.bundle(id, sh(script), (spec) => {
        spec.process.terminal = terminal;
      });
      const shim = await lab.shim(id, { binary: installed.binary, env: { ...env } });
      const task = await shim.create(id, { terminal, stdin: true });
      await task.start();
      return task;
    };
    const tasks = [
      await start('pipes', false, {}),
      await start('pipes-asleep', false, SLEEPS),
      await start('terminal', true, {}),
      await start('terminal-asleep', true, SLEEPS),
    ];
    const inputs = await Promise.all(tasks.map(({ stdio }) => stdio.input()));
    for (const { shim, id } of tasks) if (id.endsWith('asleep')) await asleep(shim);
    for (const input of inputs) await input.write('first\n');
    let version = 1;
    // A client that reads slowly: so each upgrade comes in the midst of it.
    for (const share of [0.1, 0.3, 0.5, 0.7]) {
      await eventually('some output', () => tasks.every(({ out }) => out.bytes > expected.length * share));
      for (const { out } of tasks) out.pause();
      installed.install(`${++version}.0.0`);
      const resumed = setTimeout(() => tasks.forEach(({ out }) => out.resume()), 30);
      const { status, stdout, stderr } = await upgrade(lab, installed.binary, '--all');
      assert.deepEqual([status, stderr], [0, ''], stdout.toString());
      clearTimeout(resumed);
      for (const { out } of tasks) out.resume();
    }
    for (const [index, input] of inputs.entries()) {
      const { id, out } = tasks[index]!;
      const echoed = id.startsWith('terminal');
      await out.saw(/\nfirst\r?\n$/);
      await input.write('second\n');
      const text = (await out.ended).toString('latin1');
      const want = echoed ? `first\n${expected}first\nsecond\nsecond\n`.replaceAll('\n', '\r\n') : `${expected}first\n`;
      assert.equal(text.length, want.length, id);
      assert.equal(
        createHash('sha256').update(text).digest('hex'),
        createHash('sha256').update(want).digest('hex'),
        id,
      );
    }
    for (const task of tasks) {
      assert.equal((await task.wait()).exitStatus, 3);
      assert.equal(await versionOf(task.shim), `${version}.0.0`);
    }
    await end(lab, ...tasks);
  },
  { ...only, timeout: 120_000 },
);

shimTest(
  'requests and execs that come meanwhile are answered, all of them',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const count = 6;
    const tasks: Task[] = [];
    for (let i = 0; i < count; i++)
      tasks.push(
        await run(lab, installed.binary, `c${i}`, sh(COUNT.replace('/stop', `/tmp/none`)), i % 2 ? SLEEPS : {}),
      );
    const lasting = await tasks[0]!.exec('lasting', sh('read line; echo "got $line"; exit 5'), { stdin: true });
    await tasks[0]!.start('lasting');
    const lastingWait = tasks[0]!.wait('lasting');
    const input = await lasting.input();
    let isOver = false;
    const answered = tasks.map(() => 0);
    const clients = tasks.map(async (task, index) => {
      const other = await lab.connect(task.shim.address);
      for (let n = 0; !isOver; n++) {
        assert.equal((await other.task.State({ id: task.id })).status, STATUS.RUNNING);
        assert.equal((await task.shim.task.Connect({ id: task.id })).shimPid, task.shim.pid);
        if (n % 3 === 0)
          assert.deepEqual(await task.run(`x${n}`, sh('echo out; exit 4')), { status: 4, stdout: 'out\n' });
        answered[index]!++;
      }
    });
    for (const version of ['2.0.0', '3.0.0']) {
      installed.install(version);
      const done = await upgrade(lab, installed.binary, '--all', '--wait', '60');
      assert.deepEqual([done.status, done.stderr, linesOf(done).length], [0, '', count], done.stdout.toString());
      const some = [...answered];
      await eventually('each is answered again', () => answered.every((n, index) => n > some[index]!));
    }
    isOver = true;
    await Promise.all(clients);
    for (const { shim } of tasks) assert.equal(await versionOf(shim), '3.0.0');
    await input.write('it\n');
    assert.equal((await lastingWait).exitStatus, 5);
    assert.equal(String(await lasting.out!.ended), 'got it\n');
    await tasks[0]!.delete('lasting');
    await end(lab, ...tasks);
  },
  { ...only, timeout: 120_000 },
);

shimTest(
  'an exit in the midst of it is told once, with its status',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const tasks: Task[] = [];
    for (let i = 0; i < 6; i++)
      tasks.push(
        await run(
          lab,
          installed.binary,
          `c${i}`,
          sh(`trap "exit ${40 + i}" TERM; while :; do sleep 0.01; done`),
          i % 2 ? SLEEPS : {},
        ),
      );
    const waits = waitsOf(...tasks);
    for (const [i, { shim }] of tasks.entries()) if (i % 2) await asleep(shim);
    installed.install('2.0.0');
    const done = upgrade(lab, installed.binary, '--all');
    // Spread over the time that it takes, from before it to after it.
    for (const { pid } of tasks) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      process.kill(pid, 'SIGTERM');
    }
    for (const [i, wait] of waits.entries()) assert.equal((await wait).exitStatus, 40 + i);
    const { status, stdout, stderr } = await done;
    assert.deepEqual([status, stderr], [0, ''], stdout.toString());
    for (const [i, task] of tasks.entries()) {
      await lab.daemon.saw('exit', task.id);
      await task.delete();
      await lab.daemon.saw('delete', task.id);
      assert.deepEqual(lab.daemon.story(task.id), ['create', 'start', `exit ${task.id} ${40 + i}`, 'delete']);
      await task.shim.shutdown();
    }
    await lab.assertNothingLeft();
  },
  only,
);

const newerRecord: Edit = (name, content) =>
  name === 'shim.bundle.js'
    ? exchange(
        content,
        `Object.freeze({record:${RECORD_FORMAT}})`,
        `Object.freeze({record:${Number(RECORD_FORMAT) + 1}})`,
      )
    : content;

shimTest(
  'what a newer version has left is refused, awake and asleep, and the newer one goes on',
  async (lab) => {
    const newer = place(lab, 'newer').install('2.0.0', newerRecord);
    const older = place(lab, 'older').install('1.0.0');
    const tasks = [await run(lab, newer.binary, 'awake'), await run(lab, newer.binary, 'asleep', undefined, SLEEPS)];
    await asleep(tasks[1]!.shim);
    for (const [index, why] of [
      `what its worker knows has format ${Number(RECORD_FORMAT) + 1}, and the new program reads ${RECORD_FORMAT} at the most`,
      `what its worker has left has format ${Number(RECORD_FORMAT) + 1}, and this version reads ${RECORD_FORMAT} at the most`,
    ].entries()) {
      const { id, shim } = tasks[index]!;
      const { status, stdout, stderr } = await upgrade(lab, older.binary, '-namespace', lab.namespace, '-id', id);
      assert.equal(status, 1);
      assert.match(stdout.toString(), /^hawser-test\/\w+: runs 2\.0\.0 \(\w+\) still: cannot be upgraded: /);
      assert.ok(stdout.toString().endsWith(`: ${why}\n`), stdout.toString());
      assert.match(stderr, /upgrade: 1 of 1 shims could not be upgraded; they go on as before\n$/);
      assert.equal(inodeOf(shim.pid), statSync(newer.binary).ino);
      assert.equal(await versionOf(shim), '2.0.0');
    }
    await end(lab, ...tasks);
  },
  only,
);

shimTest(
  "a monitor's table in a newer format is refused, and the newer one goes on",
  async (lab) => {
    const newer = place(lab, 'newer').install('2.0.0', (name, content) =>
      name.startsWith('containerd') ? exchange(content, "hawser's table: 1", "hawser's table: 2") : content,
    );
    const older = place(lab, 'older').install('1.0.0');
    const task = await run(lab, newer.binary, 'c');
    const words = ['-namespace', lab.namespace, '-id', 'c'];
    const { status, stdout } = await upgrade(lab, older.binary, ...words);
    assert.equal(status, 1);
    assert.match(stdout.toString(), /: its monitor's table has format 2, and this version reads 1 at the most\n$/);
    // Should the command be mistaken, the program itself refuses.
    const forced = await forcedUpgrade(lab, older, older.binary, ...words);
    assert.equal(forced.status, 1);
    assert.match(
      forced.stdout.toString(),
      /: the new program cannot go on with the monitor's table, as it is written in another format\n$/,
    );
    assert.equal(inodeOf(task.shim.pid), statSync(newer.binary).ino);
    assert.equal(await versionOf(task.shim), '2.0.0');
    await end(lab, task);
  },
  only,
);

/** With a program of one's choice in the place of the native one, and a command that takes any table. */
function forcedUpgrade(
  lab: Lab,
  { library }: Installation,
  program: string,
  ...words: string[]
): Promise<ActionResult> {
  return lab.run([join(library, 'shim.cjs'), '-address', lab.grpcAddress, 'upgrade', ...words], {
    binary: process.execPath,
    env: { HAWSER_PROGRAM: program, HAWSER_TABLE_FORMAT: '9' },
  });
}

shimTest(
  'a program that is missing, broken, silent, or fails when it has taken over leaves the former one as it was',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const next = place(lab, 'next').install('2.0.0');
    const awake = await run(lab, installed.binary, 'awake');
    const sleeps = await run(lab, installed.binary, 'sleeps', undefined, SLEEPS);
    const waits = waitsOf(awake, sleeps);
    const script = (name: string, text: string): string => {
      writeFileSync(join(lab.dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      return join(lab.dir, name);
    };
    const real = next.binary;
    const hidden = join(lab.dir, 'hidden');
    const fails = [
      [join(lab.dir, 'none'), /no such file or directory.*none/],
      [lab.dir, /: \/\S+ cannot be executed: Permission denied\n$/],
      [script('broken', 'echo it is broken >&2; exit 3'), /: it is broken\n$/],
      [script('silent', 'exit 3'), /: the new program ends with status 3\n$/],
      [script('says-nothing', 'exit 0'), /: the new program ends with status 0\n$/],
      [
        script('late', `[ -n "$HAWSER_COULD_TAKE_OVER" ] || mv ${next.library}/shim.cjs ${hidden}; exec ${real} "$@"`),
        /: the new program began, and failed: the new program does not find its library\n$/,
      ],
    ] as const;
    for (const task of [awake, sleeps]) {
      for (const [program, why] of fails) {
        if (task === sleeps) await asleep(sleeps.shim);
        const { status, stdout, stderr } = await forcedUpgrade(
          lab,
          next,
          program,
          '-namespace',
          lab.namespace,
          '-id',
          task.id,
        );
        assert.equal(status, 1, program);
        assert.match(stdout.toString() || stderr, why);
        if (existsSync(hidden)) next.put('shim.cjs', readFileSync(join(next.library, '../installed/shim.cjs')));
        assert.equal(inodeOf(task.shim.pid), statSync(installed.binary).ino);
        assert.equal((await task.state()).status, STATUS.RUNNING);
        assert.equal(await versionOf(task.shim), '1.0.0');
      }
      const { status, stdout } = await upgrade(lab, next.binary, '-namespace', lab.namespace, '-id', task.id);
      assert.equal(status, 0, stdout.toString());
      assert.equal(await versionOf(task.shim), '2.0.0');
    }
    for (const { pid } of [awake, sleeps]) process.kill(pid, 'SIGKILL');
    for (const wait of waits) assert.equal((await wait).exitStatus, 137);
    for (const { id } of [awake, sleeps]) await lab.daemon.saw('exit', id);
    await end(lab, awake, sleeps);
  },
  { ...only, timeout: 120_000 },
);

shimTest(
  'where something is under way that nobody could go on with it is waited for, and said',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const gate = join(lab.dir, 'gate');
    const binaryName = lab.faultyRunc({ exec: `while [ ! -e ${gate} ]; do sleep 0.02; done` });
    lab.bundle('c');
    const shim = await lab.shim('c', { binary: installed.binary });
    const task = await shim.create('c', { options: { binaryName } });
    await task.start();
    await task.exec('slow', ['/bin/true']);
    const started = task.start('slow');
    started.catch(() => undefined);
    installed.install('2.0.0');
    for (const words of [['--dry-run'], []]) {
      const { status, stdout, stderr } = await upgrade(lab, installed.binary, '--all', '--wait', '1', ...words);
      assert.equal(status, 1);
      assert.match(
        stdout.toString(),
        /still: cannot be upgraded: (Start of slow is under way|.* is being started.*|an operation on c is under way|processes have lost their parent)\n$/,
      );
      assert.match(stderr, words.length > 0 ? /1 of 1 shims cannot be upgraded/ : /1 of 1 shims could not be upgraded/);
    }
    const done = upgrade(lab, installed.binary, '--all', '--wait', '60');
    writeFileSync(gate, '');
    await started;
    const { status, stdout } = await done;
    assert.equal(status, 0, stdout.toString());
    assert.equal((await task.wait('slow')).exitStatus, 0);
    await task.delete('slow');
    assert.equal(await versionOf(shim), '2.0.0');
    await end(lab, task);
  },
  only,
);

shimTest(
  'a worker that dies when it is to leave is replaced, and the shim is, too',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const gate = join(lab.dir, 'gate');
    const binaryName = lab.faultyRunc({ exec: `while [ ! -e ${gate} ]; do sleep 0.02; done; exit 1` });
    lab.bundle('c');
    const shim = await lab.shim('c', { binary: installed.binary });
    const task = await shim.create('c', { options: { binaryName } });
    await task.start();
    const [wait] = waitsOf(task);
    await task.exec('slow', ['/bin/true']);
    const started = task.start('slow').catch((error: unknown) => error);
    installed.install('2.0.0');
    const sockets = (): number => descriptorsOf(shim.pid).filter((line) => line.includes('socket:')).length;
    const before = sockets();
    const done = upgrade(lab, installed.binary, '--all', '--wait', '60');
    await eventually('the monitor has been asked', () => sockets() > before);
    process.kill(shim.worker, 'SIGKILL');
    assert.ok((await started) instanceof Error);
    writeFileSync(gate, '');
    const { status, stdout } = await done;
    assert.equal(status, 0, stdout.toString());
    assert.equal(inodeOf(shim.pid), statSync(installed.binary).ino);
    assert.equal(await versionOf(shim), '2.0.0');
    process.kill(task.pid, 'SIGKILL');
    assert.equal((await wait!).exitStatus, 137);
    await lab.daemon.saw('exit', 'c');
    await task.delete('slow').catch(() => undefined);
    await end(lab, task);
  },
  only,
);

shimTest(
  'the next worker comes from a zygote of the new version, which new containers share',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const zygotes = { HAWSER_ZYGOTE: '600' };
    const task = await run(lab, installed.binary, 'a', undefined, { ...zygotes, ...SLEEPS });
    await asleep(task.shim);
    installed.install('2.0.0');
    const { status, stdout } = await lab.run(
      ['-address', lab.grpcAddress, 'upgrade', '-namespace', lab.namespace, '-id', 'a'],
      {
        binary: installed.binary,
        env: zygotes,
      },
    );
    assert.equal(status, 0, stdout.toString());
    const named = (): string[] => readdirSync(lab.runDir).filter((name) => /^zygote-\w+$/.test(name));
    await eventually('a zygote of the new version', () => zygotesIn(lab.runDir).length > 0 && named().length > 0);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    assert.equal(await isForked(task.shim), true);
    assert.equal(await versionOf(task.shim), '2.0.0');
    // One that rehearses yet may be passed by.
    await eventually('it waits', () => zygotesIn(lab.runDir).some(isIdleZygote));
    const other = await run(lab, installed.binary, 'b', undefined, zygotes);
    assert.equal(await isForked(other.shim), true, 'it is the one that a new container finds');
    assert.equal(await versionOf(other.shim), '2.0.0');
    for (const one of [task, other]) {
      await one.remove();
      await one.shim.shutdown();
    }
  },
  only,
);

shimTest(
  'a shim is found by any container of its group, one of another installation only by its name',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const pod = (annotations: Record<string, string>) => (spec: { annotations?: Record<string, string> }) => {
      spec.annotations = { ...spec.annotations, ...annotations };
    };
    const group = pod({ 'io.kubernetes.cri.sandbox-id': 'pod' });
    lab.bundle('pod', undefined, group);
    lab.bundle('member', undefined, group);
    const shim = await lab.shim('pod', { binary: installed.binary });
    const first = await shim.create('pod');
    const { stdout: joined } = await lab.startAction('member', { binary: installed.binary });
    assert.equal(joined.toString().trim(), shim.address);
    const member = await shim.create('member');
    const next = place(lab, 'next').install('2.0.0');
    const all = await upgrade(lab, next.binary, '--all');
    assert.equal(all.status, 0);
    assert.match(
      all.stdout.toString(),
      new RegExp(
        `^hawser-test/pod: runs 1\\.0\\.0 \\(\\w+\\) of ${installed.library}, and is left at that; with -namespace and -id it would be moved to this one\n$`,
      ),
    );
    const { status, stdout } = await upgrade(lab, next.binary, '-namespace', lab.namespace, '-id', 'member');
    assert.deepEqual([status, /^hawser-test\/pod: ran 1\.0\.0 .*, runs 2\.0\.0 /.test(stdout.toString())], [0, true]);
    // The former installation may go.
    installed.remove();
    assert.equal(await versionOf(shim), '2.0.0');
    for (const task of [member, first]) await task.remove();
    await shim.shutdown();
  },
  only,
);

/** A monitor's table, as src/monitor/table.c writes it; cut off after so many bytes, and yet as long as it says. */
function tableOf(parts: readonly (readonly [kind: number, bytes: Buffer])[], cut = Infinity, format = 1): Buffer {
  const bytes = parts.flatMap(([kind, content]) => [
    Buffer.from(new Uint32Array([kind, content.length]).buffer),
    content,
  ]);
  const all = Buffer.concat([Buffer.from('hawser m'), Buffer.alloc(8), ...bytes]);
  const table = all.subarray(0, Math.min(cut, all.length));
  if (table.length >= 12) table.writeUInt32LE(format, 8);
  if (table.length >= 16) table.writeUInt32LE(table.length, 12);
  return table;
}

shimTest(
  'a program takes over no table that is damaged, cut off, or none at all',
  (lab) => {
    const { binary } = place(lab).install('1.0.0');
    const numbers = Buffer.from(new Int32Array([1, 0, 1, -1, 0, -1, 0]).buffer);
    const copied = Buffer.concat([Buffer.from(new Uint16Array([3, 0]).buffer), Buffer.alloc(28), Buffer.from('{}')]);
    const whole = [
      [5, numbers],
      [4, Buffer.from('C\0\0\0\0\0\0\0')],
      [6, Buffer.from('/lib\0')],
      [7, Buffer.from('1.0.0\0')],
      [1, copied],
      [2, Buffer.from(new Int32Array([0]).buffer)],
      [3, Buffer.concat([Buffer.alloc(8), Buffer.from('held')])],
    ] as const;
    const replaced = (index: number, part: readonly [number, Buffer]): (readonly [number, Buffer])[] =>
      whole.map((one, at) => (at === index ? part : one));
    const file = join(lab.dir, 'table');
    const verdict = (content: Buffer): [number | null, string] => {
      writeFileSync(file, content);
      const fd = openSync(file, 'r');
      const { status, stdout, stderr } = spawnSync(binary, ['take-over'], {
        stdio: ['ignore', 'pipe', 'pipe', fd],
        env: { HAWSER_COULD_TAKE_OVER: '3' },
        encoding: 'utf8',
      });
      closeSync(fd);
      return [status, stdout + stderr];
    };
    assert.deepEqual(verdict(tableOf(whole)), [0, 'can take over\n']);
    const { length } = tableOf(whole);
    const ends: number[] = whole.map((_, index) => tableOf(whole.slice(0, index)).length);
    for (let cut = 0; cut < length; cut++) {
      // Without a record there is nothing to miss; and a copy may have nothing held.
      const isWhole = ends.includes(cut) && (cut < ends[5]! || cut === ends[6]!);
      const [status, said] = verdict(tableOf(whole, cut));
      assert.equal(status, isWhole ? 0 : 1, `${cut}: ${said}`);
      assert.match(said, isWhole ? /^can take over\n$/ : /^the new program cannot go on with the monitor's table, as /);
    }
    for (const [content, why] of [
      [Buffer.alloc(100), "it is none of a monitor's"],
      [tableOf(whole, Infinity, 9), 'it is written in another format'],
      [tableOf(whole, Infinity, 0), 'it is written in another format'],
      [Buffer.concat([tableOf(whole), Buffer.of(0)]), "it is none of a monitor's"],
      [tableOf([...whole, [99, Buffer.of()]]), 'a part of it is damaged'],
      [tableOf(replaced(4, [1, Buffer.of(1, 2)])), 'it is too short'],
      [
        tableOf(replaced(4, [1, Buffer.concat([Buffer.from(new Uint16Array([3, 7]).buffer), Buffer.alloc(40)])])),
        'its copies are too many, or lead nowhere',
      ],
    ] as const)
      assert.deepEqual(verdict(content), [1, `the new program cannot go on with the monitor's table, as ${why}`]);
    return Promise.resolve();
  },
  only,
);

shimTest(
  'what it does not understand, or does not find, it says',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const of = (...words: string[]): Promise<ActionResult> =>
      lab.run(['upgrade', ...words], { binary: installed.binary });
    const help = await of('-h');
    assert.deepEqual([help.status, help.stderr], [0, '']);
    assert.match(
      help.stdout.toString(),
      /^Usage: containerd-shim-runc-v2 upgrade \[-namespace N -id ID \| --all\] \[--dry-run\]\n/,
    );
    for (const [words, why] of [
      [[], 'it takes -namespace and -id of a container, or --all'],
      [['-id', 'c'], '-id goes with -namespace, that of the container'],
      [['--all', '-namespace', 'n', '-id', 'c'], '--all and -id exclude each other'],
      [['--all', '--fast'], '--fast is none of its words'],
      [['--all', '--wait', 'long'], '--wait long: it takes a number of seconds, 1 to 3600'],
      [['-id'], 'flag needs an argument: -id'],
    ] as const) {
      const { status, stderr } = await of(...words);
      assert.equal(status, 2, words.join(' '));
      assert.ok(stderr.startsWith(`upgrade: ${why}\nUsage: `), stderr);
    }
    const none = await of('-namespace', lab.namespace, '-id', 'none');
    assert.deepEqual(
      [none.status, none.stderr],
      [1, `io.containerd.runc.v2: upgrade: no shim of Hawser's and of this user runs for ${lab.namespace}/none\n`],
    );
    const all = await of('--all', '-address', lab.grpcAddress);
    assert.deepEqual([all.status, all.stdout.toString()], [0, "no shim of Hawser's runs\n"]);
  },
  only,
);

shimTest(
  'one that does not know of it is not signalled, and one that hangs is told of',
  async (lab) => {
    const installed = place(lab).install('1.0.0');
    const task = await run(lab, installed.binary, 'c');
    installed.install('2.0.0');
    process.kill(task.shim.pid, 'SIGSTOP');
    const { status, stdout } = await upgrade(lab, installed.binary, '--all', '--wait', '1');
    process.kill(task.shim.pid, 'SIGCONT');
    assert.equal(status, 1);
    assert.match(
      stdout.toString(),
      new RegExp(`: its monitor, process ${task.shim.pid}, does not answer: is it stopped\\?`),
    );
    assert.equal((await task.state()).status, STATUS.RUNNING, 'the signal that comes late finds nobody who asks');
    assert.equal(await versionOf(task.shim), '1.0.0');
    // An earlier version has not blocked the signal, which would end it.
    const binary = join(lab.dir, 'containerd-shim-runc-v2');
    const source = `#include <unistd.h>\nstatic const volatile char mark[] = "hawser's library: ";\nint main(void) { return mark[0] ? pause() : 0; }`;
    assert.equal(spawnSync('cc', ['-x', 'c', '-o', binary, '-'], { input: source }).status, 0);
    const earlier = spawn(binary, [...lab.flags('earlier'), 'start'], { stdio: 'ignore' });
    const words = ['-namespace', lab.namespace, '-id', 'earlier'];
    const refused = await eventually('it runs', async () => {
      const result = await upgrade(lab, installed.binary, ...words);
      return result.stdout.length > 0 ? result : undefined;
    });
    assert.equal(refused.status, 1);
    assert.match(
      refused.stdout.toString(),
      /: runs what it ran: cannot be upgraded: its version does not know of upgrades; /,
    );
    assert.deepEqual([earlier.exitCode, earlier.signalCode], [null, null]);
    earlier.kill('SIGKILL');
    await end(lab, task);
  },
  only,
);
