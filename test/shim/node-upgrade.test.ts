/** Node may be upgraded beneath shims that run (src/docs/upgrade.md): who sleeps wakes with the new one, who is awake keeps his. */
import assert from 'node:assert/strict';
import { copyFileSync, linkSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { Installation } from '../support/installation.js';
import { zygotesIn } from '../support/machine.js';
import { otherNodes } from '../support/other-nodes.js';
import { shimTest, type Lab, type Shim, type Task } from '../support/shim.js';
import { asleep, env, only } from '../support/sleeping.js';
import { sh } from '../support/spec.js';

/** Puts a program in its place as a package manager does: what runs keeps the file that it has. */
function put(program: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  try {
    linkSync(program, `${to}.new`);
  } catch (error) {
    // On another file system.
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    copyFileSync(program, `${to}.new`);
  }
  renameSync(`${to}.new`, to);
}

const nodeOf = async (shim: Shim): Promise<string> => (await stateOf(shim)).node;

let execs = 0;

/** Asked for what a shim loads when it is asked, and what takes a process. */
async function works(task: Task): Promise<void> {
  assert.deepEqual(await task.run(`x${++execs}`, sh('echo out; exit 4')), { status: 4, stdout: 'out\n' });
  assert.ok((await task.shim.task.Stats({ id: task.id })).stats?.value);
  assert.equal((await task.state()).pid, task.pid);
}

async function begin(lab: Lab, binary: string, id: string, settings: Record<string, string>): Promise<Task> {
  lab.bundle(id, sh('read line; echo "got $line"; exit 3'));
  const shim = await lab.shim(id, { binary, env: { ...env, ...settings } });
  const task = await shim.create(id, { stdin: true });
  await task.start();
  return task;
}

for (const { version, program } of otherNodes((why) => console.log(why)))
  shimTest(
    `Node ${process.versions.node} is replaced by ${version} beneath shims that sleep and one that is awake`,
    async (lab) => {
      const node = join(lab.dir, 'node/bin/node');
      put(process.execPath, node);
      const { binary } = new Installation(join(lab.dir, 'installed')).install('1.0.0').useNode(node);
      const awake = await begin(lab, binary, 'awake', { HAWSER_SLEEP: 'off' });
      const sleeps = await begin(lab, binary, 'sleeps', {});
      const alone = await begin(lab, binary, 'alone', { HAWSER_ZYGOTE: 'off' });
      const all = [awake, sleeps, alone];
      const waits = all.map((task) => task.wait());
      for (const wait of waits) wait.catch(() => undefined);
      for (const { shim } of [sleeps, alone]) await asleep(shim);
      const [zygote] = zygotesIn(lab.runDir);
      put(program, node);

      assert.equal(await nodeOf(awake.shim), process.version, 'what is awake has what it had');
      await works(awake);
      assert.equal(await nodeOf(alone.shim), `v${version}`, 'it wakes with what is there');
      await works(alone);
      await eventually('the zygote of the former Node is gone', () => !zygotesIn(lab.runDir).includes(zygote!));
      await asleep(sleeps.shim);
      assert.equal(await nodeOf(sleeps.shim), `v${version}`);
      await works(sleeps);
      const { worker } = awake.shim;
      process.kill(worker, 'SIGKILL');
      await works(awake);
      assert.equal(await nodeOf(awake.shim), `v${version}`, 'so does who comes in the place of one that has died');
      await eventually('there is a zygote of the new one', () =>
        zygotesIn(lab.runDir).some((pid) => statSync(`/proc/${pid}/exe`).ino === statSync(node).ino),
      );
      await asleep(sleeps.shim);
      await works(sleeps);

      for (const { stdio } of all) await (await stdio.input()).write('it\n');
      for (const wait of waits) assert.equal((await wait).exitStatus, 3, 'who waits from before is answered');
      for (const task of all) {
        assert.equal(await task.out.ended.then(String), 'got it\n');
        await lab.daemon.saw('exit', task.id);
        await task.delete();
        await task.shim.shutdown();
        assert.deepEqual(
          lab.daemon.story(task.id).filter((what) => !/ x\d/.test(what)),
          ['create', 'start', `exit ${task.id} 3`, 'delete'],
        );
      }
      await lab.assertNothingLeft();
    },
    { ...only, timeout: 120_000 },
  );
