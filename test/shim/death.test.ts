/** A worker may die at any step: its shim goes on with another (src/shim/worker/death.ts, src/monitor/monitor.c). */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerdTaskV2Task as TaskV2 } from '../../src/api/gen/services.js';
import { Code, connect, TtrpcError } from '../../src/ttrpc/index.js';
import { stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { descriptorsOf, isAlive, processInfo } from '../support/machine.js';
import { shimTest, STATUS, type Lab, type Shim, type Task, type TaskOptions } from '../support/shim.js';
import { nothingLeft, only, running as runningIn, runningInTerminal } from '../support/sleeping.js';
import { sh } from '../support/spec.js';

/** With a zygote for who comes; it sleeps as other labs' do, never. */
const env = { HAWSER_ZYGOTE: '600' };
/** The runtime's command waits until it may go on, and says that it does. */
const waits = 'touch "$lab/reached"; while [ ! -e "$lab/go" ]; do sleep 0.02; done';

const running = (lab: Lab, id: string, args: readonly string[], options?: TaskOptions): Promise<Task> =>
  runningIn(lab, id, args, options, { env });

/** A daemon that has just been told of something may be told again, if its worker dies before it has the answer. */
async function allToldIn(shim: Shim): Promise<void> {
  await eventually('the daemon has it all', async () => (await stateOf(shim)).events.queued === 0);
}

/** Resolves when another worker is there; which one that has just come may be killed, too. */
async function kill(shim: Shim): Promise<void> {
  const before = await eventually('a worker is there', () => shim.awake);
  process.kill(before, 'SIGKILL');
  await eventually('another worker is there', () => shim.awake !== undefined && shim.awake !== before);
}

/** Kills the worker as the runtime does what the call asks for, and lets that go on; gives how the call is answered. */
async function killedAmid(lab: Lab, shim: Shim, call: Promise<unknown>): Promise<TtrpcError | undefined> {
  const answer = call.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof TtrpcError) return error;
      throw error;
    },
  );
  await eventually('the runtime is at it', () => existsSync(join(lab.dir, 'reached')));
  await kill(shim);
  const answered = await answer;
  writeFileSync(join(lab.dir, 'go'), '');
  return answered;
}

/** After as many as it takes. */
async function end(lab: Lab, task: Task): Promise<void> {
  if ((await task.state()).status !== STATUS.STOPPED) {
    await task.shim.task.Kill({ id: task.id, signal: 9 });
    await task.wait();
  }
  await lab.daemon.saw('exit', task.id);
  await task.delete();
  await lab.daemon.saw('delete', task.id);
  await task.shim.shutdown();
  await nothingLeft(lab);
}

shimTest(
  'a worker that is killed is replaced: a Wait is answered, connections stay, each event is told once',
  async (lab) => {
    const task = await running(lab, 'c', sh('read line; echo "got $line"; exit 7'), { stdin: true });
    const { shim } = task;
    const other = await lab.connect(shim.address);
    const waiting = task.wait();
    await allToldIn(shim);
    await kill(shim);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    assert.equal((await task.state()).pid, task.pid);
    assert.equal((await other.task.State({ id: 'c' })).pid, task.pid);
    const { deaths } = await stateOf(shim);
    assert.deepEqual([deaths.times, deaths.during, deaths.irreplaceable], [1, 'nothing that was asked for', undefined]);
    await kill(shim);
    await (await task.stdio.input()).write('x\n');
    assert.equal((await waiting).exitStatus, 7);
    assert.equal(await task.out.ended.then(String), 'got x\n');
    await end(lab, task);
    assert.deepEqual(lab.daemon.story(), ['create', 'start', 'exit c 7', 'delete']);
  },
  only,
);

shimTest(
  'many who connect at once are all answered, also by the next worker, and no connection is left when they have gone',
  async (lab) => {
    const task = await running(lab, 'c', sh('echo ready; exec sleep 60'));
    const { shim } = task;
    await task.out.saw('ready');
    await allToldIn(shim);
    const worker = shim.awake!;
    const before = descriptorsOf(worker).length;
    // More than the monitor accepts in one step.
    process.kill(worker, 'SIGSTOP');
    const all = await Promise.all(Array.from({ length: 90 }, () => connect(shim.address)));
    lab.defer(() => all.forEach((one) => one.close()));
    const pids = async (): Promise<Set<number>> =>
      new Set(await Promise.all(all.map(async (one) => (await one.service(TaskV2).State({ id: 'c' })).pid)));
    const first = pids();
    process.kill(worker, 'SIGCONT');
    assert.deepEqual(await first, new Set([task.pid]));
    await kill(shim);
    assert.deepEqual(await pids(), new Set([task.pid]));
    for (const one of all) one.close();
    await eventually('their ends are closed', () => descriptorsOf(shim.awake!).length <= before);
    await end(lab, task);
  },
  only,
);

shimTest(
  'an exit comes while there is no worker: it is told, with its status, and once',
  async (lab) => {
    const task = await running(lab, 'c', sh('trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'));
    await task.out.saw('ready');
    const waiting = task.wait();
    await allToldIn(task.shim);
    const { worker } = task.shim;
    process.kill(worker, 'SIGSTOP');
    process.kill(task.pid, 'SIGTERM');
    await eventually('the container has ended', () => processInfo(task.pid)?.state === 'Z');
    process.kill(worker, 'SIGKILL');
    assert.equal((await waiting).exitStatus, 9);
    await end(lab, task);
    assert.deepEqual(lab.daemon.story(), ['create', 'start', 'exit c 9', 'delete']);
  },
  only,
);

for (const [command, ask, state] of [
  ['pause', (task: Task) => task.shim.task.Pause({ id: 'c' }), STATUS.PAUSED],
  ['kill', (task: Task) => task.shim.task.Kill({ id: 'c', signal: 10 }), STATUS.RUNNING],
  [
    'update',
    (task: Task) => task.shim.task.Update({ id: 'c', resources: { type_url: 'x', value: Buffer.from('{}') } }),
    STATUS.RUNNING,
  ],
] as const)
  shimTest(
    `a worker dies during the runtime's ${command}: that is broken off for its client, and is what it came to be`,
    async (lab) => {
      const options = { binaryName: lab.faultyRunc({ [command]: waits }) };
      const task = await running(lab, 'c', sh('trap : USR1; while :; do sleep 0.05; done'), { options });
      const error = await killedAmid(lab, task.shim, ask(task));
      assert.equal(error?.code, Code.Unavailable);
      assert.match(error.message, new RegExp(`^${command} was broken off, as the shim's worker ended`, 'i'));
      await eventually('what was asked for is settled', async () => (await task.state()).status === state);
      assert.match((await stateOf(task.shim)).deaths.during!, new RegExp(`^${command} of c$`, 'i'));
      if (state === STATUS.PAUSED) await task.shim.task.Resume({ id: 'c' });
      await end(lab, task);
    },
    only,
  );

shimTest(
  'a worker dies during create: nothing is left of the container, and its name is free again',
  async (lab) => {
    lab.bundle('c', ['/bin/sleep', '1000']);
    const shim = await lab.shim('c', { env });
    const options = { binaryName: lab.faultyRunc({ create: `[ -e "$lab/go" ] || { ${waits}; }` }) };
    const error = await killedAmid(lab, shim, shim.create('c', { options }));
    assert.equal(error?.code, Code.Unavailable);
    await eventually('it is undone', async () => {
      const { containers } = await stateOf(shim);
      return containers.length === 0 && !existsSync(join(lab.runcRoot, lab.namespace, 'c'));
    });
    const task = await shim.create('c', { options, stdio: lab.stdio('next') });
    await task.start();
    await end(lab, task);
    assert.deepEqual(lab.daemon.story(), ['create', 'start', 'exit c 137', 'delete']);
  },
  only,
);

shimTest(
  'a worker dies during an exec: its process does not run on unseen, the exec can be deleted, others go on',
  async (lab) => {
    const options = { binaryName: lab.faultyRunc({ exec: `[ -e "$lab/go" ] || { ${waits}; }` }) };
    const task = await running(lab, 'c', ['/bin/sleep', '1000'], { options });
    await task.exec('e', ['/bin/sleep', '2000']);
    const error = await killedAmid(lab, task.shim, task.start('e'));
    assert.equal(error?.code, Code.Unavailable);
    await eventually('nobody runs on', async () => (await task.shim.task.Pids({ id: 'c' })).processes.length === 1);
    await task.delete('e');
    const next = await task.exec('f', sh('read line; echo "$line"; exit 3'), { stdin: true });
    await task.start('f');
    await kill(task.shim);
    await (await next.input()).write('hello\n');
    assert.equal((await task.wait('f')).exitStatus, 3);
    assert.equal(await next.out!.ended.then(String), 'hello\n');
    await task.delete('f');
    await end(lab, task);
  },
  only,
);

shimTest(
  'a worker dies during delete: it is done by the next, and answered with the true status',
  async (lab) => {
    const options = { binaryName: lab.faultyRunc({ delete: `[ -e "$lab/go" ] || { ${waits}; }` }) };
    const task = await running(lab, 'c', sh('exit 4'), { options });
    await task.wait();
    await lab.daemon.saw('exit', 'c');
    const deleting = task.delete();
    await eventually('the runtime is at it', () => existsSync(join(lab.dir, 'reached')));
    await kill(task.shim);
    writeFileSync(join(lab.dir, 'go'), '');
    assert.equal((await deleting).exitStatus, 4);
    await lab.daemon.saw('delete', 'c');
    await task.shim.shutdown();
    await nothingLeft(lab);
  },
  only,
);

shimTest(
  'output goes on with the next worker, and no descriptor stays of the one before',
  async (lab) => {
    const task = await running(lab, 'c', sh('i=0; while [ $i -lt 2000 ]; do echo $((i = i + 1)); done; read line'), {
      stdin: true,
    });
    for (let i = 0; i < 3; i++) await kill(task.shim);
    await task.out.saw('\n2000\n');
    await task.state();
    // What Node has for itself differs from one that was forked to one that was booted.
    const ofShim = (): number =>
      descriptorsOf(task.shim.worker).filter((file) => file.includes(lab.dir) || file.includes('hawser-ledger')).length;
    const before = ofShim();
    const inMonitor = descriptorsOf(task.shim.pid).length;
    for (let i = 0; i < 3; i++) await kill(task.shim);
    await task.state();
    await eventually('as many descriptors as before', () => ofShim() <= before);
    assert.equal(descriptorsOf(task.shim.pid).length, inMonitor);
    await (await task.stdio.input()).write('x\n');
    await task.wait();
    assert.equal(await task.out.ended.then(String), Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join(''));
    await end(lab, task);
  },
  only,
);

shimTest(
  'a terminal keeps its size and its streams',
  async (lab) => {
    const { task, input } = await runningInTerminal(lab, { env });
    await kill(task.shim);
    await input.write('one\n');
    await task.out.saw('33 90');
    await end(lab, task);
  },
  only,
);

shimTest(
  'without a zygote, and asked to end by a signal while it is being replaced',
  async (lab) => {
    lab.bundle('c', ['/bin/sleep', '1000']);
    const shim = await lab.shim('c', { env: { HAWSER_ZYGOTE: 'off' } });
    const task = await shim.create('c');
    await task.start();
    await kill(shim);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    process.kill(shim.worker, 'SIGKILL');
    process.kill(shim.pid, 'SIGTERM');
    await eventually('the shim has ended', () => !isAlive(shim.pid));
  },
  only,
);
