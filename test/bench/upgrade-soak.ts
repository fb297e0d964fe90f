/**
 * `make soak-upgrade N=200`: so many containers, each with output that is counted, an exec that runs, and a client that asks and runs
 * execs, are given another version three times over, while some of them end. Half of them sleep between requests, a quarter has a terminal.
 * Fails when a request fails, an exit is lost, told twice or has another status, a shim's pid changes, or output differs by a byte.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { join } from 'node:path';
import { Installation } from '../support/installation.js';
import { Lab, STATUS, type Task } from '../support/shim.js';
import { sh } from '../support/spec.js';
import { eventually } from '../support/eventually.js';
import { median } from './statistics.js';

const TOTAL = Number(process.argv[2] ?? 200);
const UPGRADES = 3;
/** Of so many one ends while it is upgraded, each time. */
const ENDS = 20;
const PAUSE_MS = 400;
/** One line a second, and thousands at once now and then. */
const SCRIPT = (status: number): string =>
  `trap 'over=yes' TERM; n=0; over=; while [ -z "$over" ]; do n=$((n+1)); echo $n; if [ $((n % 10)) = 0 ]; then seq 1 2000; fi; sleep 1; done; echo end $n; exit ${status}`;

interface Subject {
  task: Task;
  pid: number;
  status: number;
  isTerminal: boolean;
  asked: number;
  latencies: number[];
  isOver: boolean;
  client: Promise<void>;
}

/** What the container must have printed, by what it says last. */
function expected(n: number): string {
  let text = '';
  for (let i = 1; i <= n; i++) {
    text += `${i}\n`;
    if (i % 10 === 0) for (let line = 1; line <= 2000; line++) text += `${line}\n`;
  }
  return `${text}end ${n}\n`;
}

async function ask(subject: Subject): Promise<void> {
  const { task } = subject;
  for (let n = 0; !subject.isOver; n++) {
    const begun = performance.now();
    const { pid } = await task.state();
    subject.latencies.push(performance.now() - begun);
    assert.equal(pid, task.pid);
    if (n % 10 === 5 && !subject.isOver)
      assert.deepEqual(await task.run(`x${n}`, sh('echo out; exit 4')), { status: 4, stdout: 'out\n' });
    subject.asked++;
    await delay(PAUSE_MS * (0.5 + Math.random()));
  }
}

const lab = await Lab.open();
try {
  const installed = new Installation(join(lab.dir, 'installed')).install('1.0.0');
  const subjects: Subject[] = [];
  const zygote = { HAWSER_ZYGOTE: '600' };
  console.log(`${TOTAL} containers are started`);
  for (let i = 0; i < TOTAL; i++) {
    const isTerminal = i % 4 === 3;
    const status = 1 + (i % 100);
    lab.bundle(`c${i}`, sh(SCRIPT(status)), (spec) => {
      spec.process.terminal = isTerminal;
    });
    const shim = await lab.shim(`c${i}`, {
      binary: installed.binary,
      debug: false,
      env: { ...zygote, HAWSER_SLEEP: i % 2 ? '0.2' : 'off' },
    });
    const task = await shim.create(`c${i}`, { terminal: isTerminal });
    await task.start();
    await task.exec('lasting', sh('sleep 100000'));
    await task.start('lasting');
    const subject: Subject = {
      task,
      pid: shim.pid,
      status,
      isTerminal,
      asked: 0,
      latencies: [],
      isOver: false,
      client: Promise.resolve(),
    };
    subjects.push(subject);
  }
  const exits = subjects.map(({ task }) => task.shim.task.Wait({ id: task.id }, { timeoutMs: 3_600_000 }));
  // Looked at in the end; what goes wrong before is the error that counts.
  for (const exit of exits) exit.catch(() => undefined);
  for (const subject of subjects) {
    subject.client = ask(subject);
    subject.client.catch(() => undefined);
  }
  await delay(3_000);
  const quiet = subjects.flatMap(({ latencies }) => latencies.splice(0));
  for (let round = 1; round <= UPGRADES; round++) {
    installed.install(`${round + 1}.0.0`);
    const alive = subjects.filter(({ isOver }) => !isOver);
    const begun = performance.now();
    const running = execa(installed.binary, ['-address', lab.grpcAddress, 'upgrade', '--all', '--wait', '120'], {
      reject: false,
      stripFinalNewline: false,
      env: { HAWSER_RUN_DIR: lab.runDir },
    });
    const ending = alive.filter((_, index) => index % ENDS === round);
    for (const subject of ending) {
      subject.isOver = true;
      await subject.client;
      process.kill(subject.task.pid, 'SIGTERM');
    }
    const { exitCode, stdout, stderr } = await running;
    const ms = performance.now() - begun;
    const lines = stdout.split('\n').filter(Boolean);
    const done = lines.filter((line) => line.includes(`runs ${round + 1}.0.0`));
    console.log(
      `upgrade ${round}: ${done.length} of ${TOTAL} shims in ${Math.round(ms)} ms, ${ending.length} containers ended meanwhile`,
    );
    assert.deepEqual([exitCode, stderr], [0, ''], lines.filter((line) => !done.includes(line)).join('\n'));
    // The shim of one that has ended is there until it is deleted.
    assert.equal(done.length, TOTAL, lines.filter((line) => !done.includes(line)).join('\n'));
    const asked = subjects.map((one) => one.asked);
    await eventually('every client is answered', () =>
      subjects.every((one, index) => one.isOver || one.asked > asked[index]! + 1),
    );
    const busy = subjects.flatMap(({ latencies }) => latencies.splice(0)).sort((a, b) => a - b);
    console.log(
      `  State: median ${median(busy).toFixed(1)} ms, longest ${busy.at(-1)!.toFixed(0)} ms, of ${busy.length}; before ${median(quiet).toFixed(1)} and ${Math.max(...quiet).toFixed(0)} ms`,
    );
  }
  for (const subject of subjects) subject.isOver = true;
  for (const subject of subjects) await subject.client;
  for (const { task } of subjects)
    if ((await task.state()).status === STATUS.RUNNING) process.kill(task.pid, 'SIGTERM');
  let bytes = 0;
  for (const [index, { task, pid, status, isTerminal }] of subjects.entries()) {
    assert.equal((await exits[index]!).exitStatus, status, task.id);
    assert.equal((await task.shim.task.Connect({ id: task.id })).shimPid, pid);
    const text = (await task.out.ended).toString('latin1');
    const want = expected(Number(/end (\d+)\r?\n$/.exec(text)?.[1]));
    assert.ok(text === (isTerminal ? want.replaceAll('\n', '\r\n') : want), `output of ${task.id}`);
    bytes += text.length;
    await lab.daemon.saw('exit', task.id);
    assert.equal(lab.daemon.story(task.id).filter((one) => one === `exit ${task.id} ${status}`).length, 1, task.id);
    await task.delete('lasting');
    await task.delete();
    await task.shim.shutdown();
  }
  await lab.assertNothingLeft();
  const requests = subjects.reduce((sum, { asked }) => sum + asked, 0);
  console.log(`${requests} requests answered, ${TOTAL} exits told once, ${bytes} bytes of output as they were printed`);
} finally {
  await lab.close();
}
