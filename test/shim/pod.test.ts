/** Pods as kubelet makes them: a pause container and members, all in one shim (contract §1.14, §4.5, §7.3). */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { cgroupDir, isAlive, mountsBelow, zombiesOf } from '../support/machine.js';
import {
  fails,
  hawserOnly,
  shimTest,
  STATUS,
  type Lab,
  type Shim,
  type Task,
  type TaskOptions,
} from '../support/shim.js';
import { hostPid, sh, sharedRootfs, type TestSpec } from '../support/spec.js';

/** What containerd's CRI plugin writes on each container of a pod. */
function member(spec: TestSpec): void {
  spec.annotations = { 'io.kubernetes.cri.sandbox-id': 'pause', 'io.kubernetes.cri.container-type': 'container' };
}

function joining(pid: number): (spec: TestSpec) => void {
  return (spec) => {
    member(spec);
    hostPid(spec);
    spec.linux.namespaces.push({ type: 'pid', path: `/proc/${pid}/ns/pid` });
  };
}

async function pod(lab: Lab, edit: (spec: TestSpec) => void = member): Promise<Task> {
  const pause = await lab.task('pause', undefined, { edit });
  await pause.start();
  return pause;
}

/** A member as a v2 daemon makes it: `start` says where the pod's shim is, and each has a connection of its own. */
async function joined(lab: Lab, id: string, args?: readonly string[], options: TaskOptions = {}): Promise<Task> {
  const task = await lab.task(id, args, { edit: member, ...options });
  await task.start();
  return task;
}

/** As a daemon does it, before the delete action. */
async function leave(task: Task): Promise<void> {
  await task.delete();
  await task.shim.task.Shutdown({ id: task.id });
}

function pidsIn(lab: Lab, id: string): number[] {
  const file = join(cgroupDir('pids', `${lab.cgroup}/${id}`), 'cgroup.procs');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
}

const status = async (task: Task): Promise<number> => (await task.state()).status;

for (const [what, order] of [
  ['last', ['a', 'b', 'pause']],
  ['first', ['pause', 'a', 'b']],
  ['in between', ['b', 'pause', 'a']],
] as const) {
  shimTest(
    `bug 39: Shutdown means nothing while a container is left, and the end when none is: the pause container goes ${what}`,
    async (lab) => {
      const pause = await pod(lab);
      const tasks = new Map([['pause', pause]]);
      for (const id of ['a', 'b']) tasks.set(id, await joined(lab, id));
      const { shim } = pause;
      assert.deepEqual([...new Set([...tasks.values()].map((task) => task.shim.pid))], [shim.pid]);
      for (const [n, id] of order.entries()) {
        const task = tasks.get(id)!;
        await task.kill(9);
        await task.wait();
        await task.delete();
        tasks.delete(id);
        if (n === 2) {
          await task.shim.shutdown();
          continue;
        }
        await shim.task.Shutdown({ id }, { timeoutMs: 2000 });
        await shim.task.Shutdown({ id, now: true }, { timeoutMs: 2000 });
        for (const other of tasks.values())
          assert.equal(await status(other), STATUS.RUNNING, `${other.id} after ${id}`);
        assert.equal((await lab.deleteAction(id)).status, 0);
        assert.ok(existsSync(shim.socket), "the socket is the pod's");
      }
      assert.ok(!existsSync(shim.socket));
      assert.equal((await lab.deleteAction(order[2])).status, 0);
      await lab.assertNothingLeft();
    },
  );
}

shimTest(
  'bug 48: a member that gets neither start nor delete, in either version of the API, leaves nothing after Delete',
  async (lab) => {
    const pause = await pod(lab);
    const { shim } = pause;
    const source = sharedRootfs();
    const edit = (spec: TestSpec): void => {
      member(spec);
      spec.root = { path: 'rootfs', readonly: true };
    };
    for (const [id, task] of [
      ['v2', shim.task],
      ['v3', shim.v3],
    ] as const) {
      // containerd makes the bundle, and calls the shim that it has a connection to.
      lab.bundle(id, sh('echo hello; exit 5'), edit);
      const stdio = lab.stdio(id);
      const rootfs = [{ type: 'bind', source, options: ['rbind', 'ro'] }];
      const { pid } = await task.Create({
        id,
        bundle: lab.bundlePath(id),
        ...stdio.paths,
        options: lab.options(),
        rootfs,
      });
      assert.equal((await task.Connect({ id })).taskPid, pid);
      const waiting = task.Wait({ id });
      await task.Start({ id });
      assert.equal((await waiting).exitStatus, 5);
      assert.equal((await stdio.out!.ended).toString(), 'hello\n');
      assert.equal((await task.Delete({ id })).exitStatus, 5);
      assert.deepEqual(mountsBelow(lab.dir), []);
      assert.deepEqual(readdirSync(join(lab.runcRoot, lab.namespace)), ['pause']);
      await eventually('its cgroup is gone', () => pidsIn(lab, id).length === 0);
      await fails(task.State({ id }), Code.NotFound, 'container not created: not found');
      await lab.daemon.saw('delete', id);
      assert.deepEqual(lab.daemon.story(id), ['create', 'start', `exit ${id} 5`, 'delete']);
    }
    assert.equal(await status(pause), STATUS.RUNNING);
  },
  { skip: hawserOnly },
);

shimTest('a member that fails to be made leaves the pod alone, and its id can be used again', async (lab) => {
  const pause = await pod(lab);
  lab.bundle('a', ['/no/such/command'], member);
  const shim = await lab.shim('a');
  await fails(shim.create('a'), Code.Unknown, /no such file or directory/);
  // The daemon now calls these, for the failed one.
  await fails(shim.task.Delete({ id: 'a' }), Code.NotFound, 'container not created: not found');
  await shim.task.Shutdown({ id: 'a' });
  assert.equal((await lab.deleteAction('a')).status, 0);
  assert.equal(await status(pause), STATUS.RUNNING);
  lab.bundle('a', ['/bin/true'], member);
  const again = await shim.create('a', { stdio: lab.stdio('again') });
  await again.start();
  assert.equal((await again.wait()).exitStatus, 0);
  await again.delete();
});

shimTest('shared pid namespace: what a member leaves behind is ended with it, and nobody else', async (lab) => {
  const pause = await pod(lab);
  const edit = joining(pause.pid);
  const other = await joined(lab, 'other', sh('trap "exit 4" TERM; echo up; while :; do sleep 0.05; done'), { edit });
  await other.out.saw('up');
  const leaver = await joined(lab, 'leaver', sh('sleep 1000 & sleep 1000 & echo up; read x; exit 3'), {
    stdin: true,
    edit,
  });
  assert.equal(readlinkSync(`/proc/${leaver.pid}/ns/pid`), readlinkSync(`/proc/${pause.pid}/ns/pid`));
  await leaver.out.saw('up');
  const left = pidsIn(lab, 'leaver');
  assert.equal(left.length, 3);
  const input = await leaver.stdio.input();
  await input.write('go\n');
  assert.equal((await within('the exit', leaver.wait())).exitStatus, 3);
  await eventually('what it left is ended', () => left.every((pid) => !isAlive(pid)));
  assert.deepEqual([await status(other), await status(pause)], [STATUS.RUNNING, STATUS.RUNNING]);
  await lab.daemon.saw('exit', 'leaver');
  assert.deepEqual(lab.daemon.story('leaver'), ['create', 'start', 'exit leaver 3']);
  await leaver.delete();
  await other.kill(15);
  assert.equal((await other.wait()).exitStatus, 4);
  await other.delete();
});

shimTest(
  'shared pid namespace: when the pause container dies so do all members, each is told once, and all can be deleted',
  async (lab) => {
    const pause = await pod(lab);
    const members = [];
    for (const id of ['a', 'b', 'c']) members.push(await joined(lab, id, undefined, { edit: joining(pause.pid) }));
    process.kill(pause.pid, 'SIGKILL');
    for (const task of [pause, ...members])
      assert.equal((await within(`the exit of ${task.id}`, task.wait())).exitStatus, 137);
    for (const task of [pause, ...members]) {
      await leave(task);
      await lab.daemon.saw('delete', task.id);
      assert.deepEqual(lab.daemon.story(task.id), ['create', 'start', `exit ${task.id} 137`, 'delete']);
    }
    await pause.shim.gone();
    for (const task of [pause, ...members]) assert.equal((await lab.deleteAction(task.id)).status, 0);
    await lab.assertNothingLeft();
  },
);

shimTest('host pid namespace: what a member leaves behind is ended with it, and nobody else', async (lab) => {
  const edit = (spec: TestSpec): void => {
    member(spec);
    hostPid(spec);
  };
  const pause = await pod(lab, edit);
  const leaver = await joined(lab, 'leaver', sh('sleep 1000 & echo up; read x; exit 3'), { stdin: true, edit });
  await leaver.out.saw('up');
  assert.equal(readlinkSync(`/proc/${leaver.pid}/ns/pid`), readlinkSync('/proc/self/ns/pid'));
  const left = pidsIn(lab, 'leaver');
  assert.equal(left.length, 2);
  await (await leaver.stdio.input()).write('go\n');
  assert.equal((await within('the exit', leaver.wait())).exitStatus, 3);
  await eventually('what it left is ended', () => left.every((pid) => !isAlive(pid)));
  assert.equal(await status(pause), STATUS.RUNNING);
  await eventually('no zombie is left', () => zombiesOf(pause.shim.pid).length === 0);
  await leaver.delete();
});

shimTest("a member that crashes is told as it is; the others don't notice", async (lab) => {
  const pause = await pod(lab);
  // The first process of a pid namespace is spared its own signals; one that joins another's is not.
  const a = await joined(lab, 'a', sh('kill -ABRT $$'), { edit: joining(pause.pid) });
  const b = await joined(lab, 'b');
  const c = await joined(lab, 'c', sh('while :; do echo tick; sleep 0.05; done'));
  process.kill(b.pid, 'SIGKILL');
  assert.equal((await within('the exit of a', a.wait())).exitStatus, 134);
  assert.equal((await within('the exit of b', b.wait())).exitStatus, 137);
  const before = c.out.bytes;
  await eventually('c goes on', () => c.out.bytes > before);
  assert.deepEqual([await status(c), await status(pause)], [STATUS.RUNNING, STATUS.RUNNING]);
  for (const task of [a, b]) await leave(task);
  assert.deepEqual([await status(c), await status(pause)], [STATUS.RUNNING, STATUS.RUNNING]);
});

shimTest(
  '20 members that come and go at once, three times over: each has its own exit, and nothing piles up',
  async (lab) => {
    const pause = await pod(lab);
    const { shim } = pause;
    for (let n = 0; n < 20; n++) lab.bundle(`m${n}`, sh(`exit ${n}`), member);
    const life = async (n: number, round: number): Promise<void> => {
      const task = await shim.create(`m${n}`, { stdio: lab.stdio(`m${n}-${round}`, { stdout: '', stderr: '' }) });
      await task.start();
      assert.equal((await within(`the exit of m${n}`, task.wait(), 60_000)).exitStatus, n);
      assert.equal((await task.delete()).exitStatus, n);
      await shim.task.Shutdown({ id: task.id });
    };
    let before: string[] | undefined;
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 20 }, (_, n) => life(n, round)));
      before ??= shim.descriptors();
    }
    await eventually('its descriptors are those it had', () => shim.descriptors().join() === before?.join());
    await eventually('no zombie is left', () => zombiesOf(shim.pid).length === 0);
    for (let n = 0; n < 20; n++) {
      await eventually(`the last event of m${n}`, () => lab.daemon.of(`m${n}`, '/tasks/delete').length === 3);
      assert.deepEqual(
        lab.daemon.story(`m${n}`),
        Array.from({ length: 3 }, () => ['create', 'start', `exit m${n} ${n}`, 'delete']).flat(),
      );
    }
    assert.equal(await status(pause), STATUS.RUNNING);
  },
  { timeout: 180_000 },
);

/** Pseudo-terminal masters that a shim has open. */
const masters = (shim: Shim): number => shim.descriptors().filter((name) => name.endsWith('/ptmx')).length;

shimTest(
  "field 22: members with terminals leave none in the pod's shim",
  async (lab) => {
    const pause = await pod(lab);
    const { shim } = pause;
    const before = masters(shim);
    const terminals = {
      terminal: true,
      stdin: true,
      edit: (spec: TestSpec) => {
        member(spec);
        spec.process.terminal = true;
      },
    } as const;
    for (let round = 0; round < 8; round++) {
      const task = await shim.add(`t${round}`, sh('echo up; exit 2'), terminals);
      await task.start();
      await task.wait();
      await task.delete();
    }
    await eventually('no master is open', () => masters(shim) === before);
    const open = await shim.add('open', sh('echo up; exec sleep 1000'), terminals);
    await open.start();
    await open.out.saw('up');
    assert.ok(masters(shim) > before, 'the one that runs has its own');
    await open.remove();
    await eventually('no master is open', () => masters(shim) === before);
  },
  { skip: hawserOnly },
);

shimTest(
  'a pod whose shim is killed: each member is cleaned up by its own delete action, and a new start makes a new shim',
  async (lab) => {
    const pause = await pod(lab);
    const a = await joined(lab, 'a');
    const b = await joined(lab, 'b', sh('exit 6'));
    await b.wait();
    process.kill(pause.shim.pid, 'SIGKILL');
    await pause.shim.gone();
    const responses = new Map<string, number>();
    for (const id of ['b', 'pause', 'a']) {
      const { status: code, response } = await lab.deleteAction(id);
      assert.equal(code, 0);
      responses.set(id, response.exitStatus);
    }
    assert.deepEqual([responses.get('a'), responses.get('pause')], [137, 137]);
    if (!hawserOnly) assert.equal(responses.get('b'), 6, 'it had ended by itself');
    await eventually('all are gone', () => !isAlive(a.pid) && !isAlive(pause.pid));
    if (!hawserOnly) await lab.assertNothingLeft();
    lab.bundle('late', undefined, member);
    const late = await lab.shim('late');
    assert.notEqual(late.pid, pause.shim.pid);
    assert.equal(late.address, pause.shim.address);
  },
);

shimTest(
  "a bundle that Create names need not be called like the container, nor be where the leader's is",
  async (lab) => {
    const pause = await pod(lab);
    lab.bundle('elsewhere', sh('exit 8'), (spec) => {
      member(spec);
      spec.linux.cgroupsPath = `${lab.cgroup}/x`;
    });
    const task = await pause.shim.create('x', { request: { bundle: lab.bundlePath('elsewhere') } });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 8);
    assert.equal((await task.state()).bundle, lab.bundlePath('elsewhere'));
    await task.delete();
  },
);
