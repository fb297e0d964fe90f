/** Who asks over and over how a container is gets an answer that is ready (src/shim/worker/ready-answers.ts), and never an old one. */
import assert from 'node:assert/strict';
import { containerd } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { metricsOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { fails, shimTest, STATUS, type Shim, type Task } from '../support/shim.js';
import { only } from '../support/sleeping.js';
import { sh } from '../support/spec.js';
import { RawPeer, rawRequest } from '../support/ttrpc-raw.js';

const { StateRequest } = containerd.task.v2;
const quiet = { stdout: '', stderr: '' };
const sleeps = ['/bin/sleep', '1000'];

const given = async (shim: Shim): Promise<number> => (await metricsOf(shim)).get('requests_answered_ready_total') ?? 0;

/** How often it was asked what answers may be ready for. */
async function questions(shim: Shim): Promise<number> {
  const metrics = await metricsOf(shim);
  return ['State', 'Connect'].reduce(
    (sum, method) => sum + (metrics.get(`requests_total{method="${method}"}`) ?? 0),
    0,
  );
}

/** Asks until answers are ready. */
async function askOften(task: Task, execId = ''): Promise<containerd.task.v2.IStateResponse> {
  const first = await task.state(execId);
  for (let n = 0; n < 20; n++) assert.deepEqual(await task.state(execId), first);
  return task.state(execId);
}

shimTest(
  'what is asked over and over is answered the same by what is ready, for each service, with metadata and a time limit',
  async (lab) => {
    const task = await lab.task('c', sleeps, quiet);
    await task.start();
    const { shim } = task;
    const before = await questions(shim);
    const first = await task.state();
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        (n % 2 ? shim.task : shim.v3).State(
          { id: 'c' },
          n % 3 ? {} : { timeoutMs: 3_600_000, metadata: { 'containerd-namespace-ttrpc': 'default' } },
        ),
      ),
    );
    for (const one of all) assert.deepEqual(one, first);
    for (let n = 0; n < 50; n++) assert.deepEqual(await shim.v3.State({ id: 'c' }), first);
    assert.equal((await shim.task.Connect({ id: 'c' })).taskPid, task.pid);
    assert.ok((await given(shim)) >= 50, 'JavaScript was not needed for all of them');
    assert.equal((await questions(shim)) - before, 152);
    await task.remove();
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  only,
);

shimTest(
  'each change is in the next answer: start, exec, pause, resume, exit, delete',
  async (lab) => {
    const task = await lab.task('c', sleeps, quiet);
    const { shim } = task;
    const often = async (execId = ''): Promise<unknown> => (await askOften(task, execId)).status;
    assert.equal(await often(), STATUS.CREATED);
    await task.start();
    assert.equal(await often(), STATUS.RUNNING);
    await task.exec('e', sh('read line; exit 3'), { stdin: true });
    assert.equal(await often('e'), STATUS.CREATED);
    assert.deepEqual([(await task.state('e')).pid, await often()], [0, STATUS.RUNNING]);
    await task.start('e');
    assert.equal(await often('e'), STATUS.RUNNING);
    await shim.task.Pause({ id: 'c' });
    assert.deepEqual([await often(), await often('e')], [STATUS.PAUSED, STATUS.PAUSED]);
    await shim.task.Resume({ id: 'c' });
    assert.deepEqual([await often(), await often('e')], [STATUS.RUNNING, STATUS.RUNNING]);
    const ended = task.wait('e');
    await shim.task.Kill({ id: 'c', execId: 'e', signal: 9 });
    assert.equal((await ended).exitStatus, 137);
    const after = await askOften(task, 'e');
    assert.deepEqual([after.status, after.exitStatus], [STATUS.STOPPED, 137]);
    await task.delete('e');
    for (let n = 0; n < 20; n++) await fails(task.state('e'), Code.NotFound, /not found/);
    assert.equal(await often(), STATUS.RUNNING);
    // Nobody asks for this one.
    process.kill(task.pid, 'SIGKILL');
    await eventually('State says so', async () => (await task.state()).status === STATUS.STOPPED);
    assert.equal((await askOften(task)).exitStatus, 137);
    assert.ok((await given(shim)) > 0);
    await task.delete();
    for (let n = 0; n < 20; n++) await fails(task.state(), Code.NotFound, /not found/);
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  only,
);

shimTest(
  'a client that is answered so may use no stream twice; and another worker knows which it has used',
  async (lab) => {
    const task = await lab.task('c', sleeps, quiet);
    await task.start();
    const { shim } = task;
    const peer = await RawPeer.connect(shim.socket);
    lab.defer(() => void peer.socket.destroy());
    const ask = async (stream: number): Promise<{ code: number; message: string }> => {
      peer.write(
        rawRequest(stream, {
          service: 'containerd.task.v2.Task',
          method: 'State',
          payload: StateRequest.encode({ id: 'c' }).finish(),
        }),
      );
      const { streamId, code, message } = await peer.response();
      assert.equal(streamId, stream);
      return { code, message };
    };
    for (let stream = 1; stream < 100; stream += 2) assert.equal((await ask(stream)).code, 0);
    assert.match((await ask(99)).message, /cannot be re-used/);
    assert.match((await ask(51)).message, /cannot be re-used/);
    assert.equal((await ask(101)).code, 0);
    for (let stream = 103; stream < 203; stream += 2) assert.equal((await ask(stream)).code, 0);
    const worker = shim.awake!;
    // Between an answer and the note of it a worker that is killed would have the next one give it again.
    await shim.task.Pids({ id: 'c' });
    process.kill(worker, 'SIGKILL');
    assert.equal((await ask(203)).code, 0);
    assert.notEqual(shim.awake, worker);
    assert.equal(peer.pending, 0, 'nothing was answered twice');
    assert.equal((await ask(205)).code, 0);
    await task.remove();
    peer.socket.destroy();
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  only,
);
