/**
 * Who asks a sleeping shim how its containers are is answered, and it sleeps on (src/monitor/answers.c, src/shim/worker/answers.ts).
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { containerd } from '../../src/api/index.js';
import { io } from '../../src/api/gen/metrics.js';
import { Code } from '../../src/ttrpc/index.js';
import { metricsOf, stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { hasCgroup2 } from '../support/machine.js';
import { fails, shimTest, STATUS, type Lab, type Shim, type Task } from '../support/shim.js';
import { asleep, end, only, running, wake } from '../support/sleeping.js';
import { sh } from '../support/spec.js';
import { RawPeer, rawFrame, rawRequest } from '../support/ttrpc-raw.js';

const { StateRequest, StateResponse } = containerd.task.v2;
const { Metrics } = hasCgroup2() ? io.containerd.cgroups.v2 : io.containerd.cgroups.v1;
const SERVICE = 'containerd.task.v2.Task';
const sleeps = ['/bin/sleep', '1000'];

const requestFor = (id: string, method = 'State'): { service: string; method: string; payload: Uint8Array } => ({
  service: SERVICE,
  method,
  payload: StateRequest.encode({ id }).finish(),
});

/** All that can be asked, by what a client of either version asks. */
async function questions({ shim }: Task, execs: readonly string[]): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const service of [shim.task, shim.v3]) {
    for (const execId of execs) found.push(await service.State({ id: 'c', ...(execId && { execId }) }));
    found.push(await service.Connect({ id: 'c' }));
  }
  return found;
}

/** A client by hand, to which the shim has gone to sleep. */
async function peerOf(lab: Lab, shim: Shim): Promise<RawPeer> {
  const peer = await RawPeer.connect(shim.socket);
  lab.defer(() => void peer.socket.destroy());
  peer.write(rawRequest(1, requestFor('c')));
  assert.equal((await peer.response()).code, 0);
  await asleep(shim);
  return peer;
}

shimTest(
  'asked how its container and its execs are, a sleeping shim says the same as one that is awake, and sleeps on',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const execs = { runs: sleeps, ended: sh('exit 4'), added: sleeps };
    for (const [id, args] of Object.entries(execs)) await task.exec(id, args);
    for (const id of ['runs', 'ended']) await task.start(id);
    await task.wait('ended');
    const all = ['', ...Object.keys(execs)];
    const awake = await questions(task, all);
    assert.deepEqual(
      awake.slice(0, 4).map((state) => (state as containerd.task.v2.StateResponse).status),
      [STATUS.RUNNING, STATUS.RUNNING, STATUS.STOPPED, STATUS.CREATED],
    );
    await asleep(task.shim);
    assert.deepEqual(await questions(task, all), awake);
    assert.deepEqual(await questions(task, all), awake);
    // As the daemon asks: with a time limit and its namespace.
    const limited = await task.shim.task.State(
      { id: 'c' },
      { timeoutMs: 3_600_000, metadata: { 'containerd-namespace-ttrpc': 'default' } },
    );
    assert.deepEqual(limited, awake[0]);
    assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
    const { sleep } = await stateOf(task.shim);
    assert.deepEqual([sleep.times, sleep.answered], [1, 21]);
    assert.equal((await metricsOf(task.shim)).get('requests_answered_asleep_total'), 21);
    await end(lab, task);
  },
  only,
);

shimTest(
  'what changes is told as it is then: a pause, an exit, an exec that is gone',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const { shim } = task;
    const status = async (): Promise<unknown> => {
      await asleep(shim);
      const found = (await task.state()).status;
      assert.equal(shim.awake, undefined);
      return found;
    };
    assert.equal(await status(), STATUS.RUNNING);
    await shim.task.Pause({ id: 'c' });
    assert.equal(await status(), STATUS.PAUSED);
    await shim.task.Resume({ id: 'c' });
    await task.exec('e', ['/bin/true']);
    assert.equal(await status(), STATUS.RUNNING);
    assert.equal((await task.state('e')).status, STATUS.CREATED);
    await task.delete('e');
    await asleep(shim);
    await fails(task.state('e'), Code.NotFound, /not found/);
    await asleep(shim);
    await fails(shim.task.State({ id: 'other' }), Code.NotFound, /not found/);
    const waiting = task.wait();
    await asleep(shim);
    process.kill(task.pid, 'SIGKILL');
    assert.equal((await waiting).exitStatus, 137);
    await lab.daemon.saw('exit', 'c');
    assert.equal(await status(), STATUS.STOPPED);
    assert.equal((await task.state()).exitStatus, 137);
    await end(lab, task);
  },
  only,
);

shimTest(
  'requests that come together are answered in their order, and what is no question wakes it',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const { shim } = task;
    const peer = await peerOf(lab, shim);
    peer.write(Buffer.concat([3, 5, 7].map((stream) => rawRequest(stream, requestFor('c')))));
    for (const stream of [3, 5, 7]) {
      const { streamId, code, payload } = await peer.response();
      assert.deepEqual([streamId, code, StateResponse.decode(payload).pid], [stream, 0, task.pid]);
    }
    assert.equal(shim.awake, undefined);
    peer.write(
      Buffer.concat([
        rawRequest(9, requestFor('c')),
        rawRequest(11, requestFor('c', 'Pids')),
        rawRequest(13, requestFor('c')),
      ]),
    );
    const answers = [await peer.response(), await peer.response(), await peer.response()];
    assert.deepEqual(answers.map(({ streamId, code }) => [streamId, code]).sort(), [
      [11, 0],
      [13, 0],
      [9, 0],
    ]);
    assert.equal(peer.pending, 0);
    await end(lab, task);
  },
  only,
);

shimTest(
  'what is odd about a request is left to a worker: halves, fields out of order or unknown, streams that may not be',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const { shim } = task;
    const peer = await peerOf(lab, shim);
    const whole = rawRequest(3, requestFor('c'));
    peer.write(whole.subarray(0, 20));
    await stateOf(shim);
    peer.write(whole.subarray(20));
    assert.deepEqual([(await peer.response()).code, shim.awake !== undefined], [0, true]);
    const { service, method, payload } = requestFor('c');
    const field = (tag: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
    const [one, two, three] = [
      field(0x0a, Buffer.from(service)),
      field(0x12, Buffer.from(method)),
      field(0x1a, payload),
    ] as const;
    const odd = [
      rawFrame(5, 1, 0, Buffer.concat([two, one, three])),
      rawFrame(7, 1, 0, Buffer.concat([one, two, three, field(0x32, Buffer.from('new'))])),
      // The last of a field counts, and what a message lacks is not said twice.
      rawFrame(9, 1, 0, Buffer.concat([one, two, three, field(0x12, Buffer.from('Pids'))])),
    ];
    for (const frame of odd) {
      await asleep(shim);
      peer.write(frame);
      assert.equal((await peer.response()).code, 0);
      assert.notEqual(shim.awake, undefined);
    }
    await asleep(shim);
    peer.write(rawRequest(9, requestFor('c')));
    assert.match((await peer.response()).message, /cannot be re-used/);
    await asleep(shim);
    peer.write(rawRequest(12, requestFor('c')));
    assert.match((await peer.response()).message, /must be odd/);
    await wake(task);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a client that goes while it sleeps is let go, and each container of a group is told apart',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const { shim } = task;
    const second = await shim.add('d', sleeps);
    await second.start();
    const other = await lab.connect(shim.address);
    await asleep(shim);
    assert.equal((await other.task.State({ id: 'd' })).pid, second.pid);
    assert.equal((await other.task.State({ id: 'c' })).pid, task.pid);
    assert.equal((await other.task.Connect({ id: 'd' })).taskPid, second.pid);
    assert.equal(shim.awake, undefined);
    other.client.close();
    await wake(task);
    await asleep(shim);
    assert.equal((await task.state()).pid, task.pid);
    await second.remove();
    await end(lab, task);
  },
  only,
);

/** How many processes there are in the container, by what Stats says. */
async function processesIn({ shim, id }: Task): Promise<number> {
  const { stats } = await shim.task.Stats({ id });
  return Number(Metrics.decode(stats!.value!).pids?.current);
}

shimTest(
  'asked what its containers use, it says so of each, as it is then, and sleeps on',
  async (lab) => {
    const task = await running(lab, 'c', sh('while read -r line; do eval "$line"; done'), { stdin: true });
    const { shim } = task;
    const input = await task.stdio.input();
    const second = await shim.add('d', sleeps);
    await second.start();
    await asleep(shim);
    assert.deepEqual([await processesIn(task), await processesIn(second)], [1, 1]);
    await input.write('sleep 1000 &\n');
    await eventually('one more is counted', async () => (await processesIn(task)) === 2);
    assert.equal(await processesIn(second), 1);
    // As a daemon asks that knows version 3, with a time limit.
    const { stats } = await shim.v3.Stats({ id: 'd' }, { timeoutMs: 3_600_000 });
    assert.equal(stats!.type_url, `io.containerd.cgroups.v${hasCgroup2() ? 2 : 1}.Metrics`);
    assert.equal(shim.awake, undefined, 'nobody had to be woken for that');
    await fails(shim.task.Stats({ id: 'other' }), Code.NotFound, /not found/);
    await asleep(shim);
    await second.remove();
    await asleep(shim);
    await fails(shim.task.Stats({ id: 'd' }), Code.NotFound, /not found/);
    await asleep(shim);
    assert.equal(await processesIn(task), 2);
    await end(lab, task);
  },
  only,
);

shimTest(
  'who asks all the time keeps nobody awake',
  async (lab) => {
    const task = await running(lab, 'c', sleeps);
    const { shim } = task;
    const asks = async (): Promise<boolean> => {
      await Promise.all([task.state(), shim.task.Connect({ id: 'c' }), shim.task.Stats({ id: 'c' })]);
      return shim.awake === undefined;
    };
    await eventually('it sleeps though it is asked', asks);
    assert.ok(await asks());
    // Another method, which it has to be awake for, does.
    await wake(task);
    for (let i = 0; i < 20; i++) {
      await wake(task);
      assert.notEqual(shim.awake, undefined);
    }
    await end(lab, task);
  },
  only,
);
