/** Many ends at one moment. HAWSER_BURST says how many containers; execs are two and a half times as many. */
import assert from 'node:assert/strict';
import { eventually, within } from '../support/eventually.js';
import { zombiesOf } from '../support/machine.js';
import { shimTest, type Task } from '../support/shim.js';

/** Fit for two slow cores; the complaint was about 200. */
const CONTAINERS = Number(process.env.HAWSER_BURST ?? 48);
const EXECS = Math.round(CONTAINERS * 2.5);
/** As many commands of the runtime at a time. */
const AT_ONCE = 8;
const BOUND_MS = 60_000 + CONTAINERS * 2_000;

const quiet = { stdout: '', stderr: '' };

/** Works through all, so many at a time. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}

shimTest(
  `bug 1, field 1: ${CONTAINERS} containers of one shim are killed at the same moment: each exit is told, once, in its place`,
  async (lab) => {
    const ids = Array.from({ length: CONTAINERS }, (_, n) => `c${n}`);
    lab.bundle(ids[0]!);
    const shim = await lab.shim(ids[0]!);
    // The first one opens what stays open, such as the connection for events.
    const first = await shim.add('first', undefined, quiet);
    await first.start();
    await first.remove();
    await lab.daemon.saw('delete', 'first');
    const before = shim.descriptors();
    const tasks: Task[] = [];
    await inParallel(ids, async (id) => {
      const task = await shim.add(id, undefined, quiet);
      await task.start();
      tasks.push(task);
    });
    const waits = tasks.map((task) => task.wait());
    for (const { pid } of tasks) process.kill(pid, 'SIGKILL');
    for (const { exitStatus } of await within('all waits', Promise.all(waits), BOUND_MS)) assert.equal(exitStatus, 137);
    await eventually('all exit events', () => lab.daemon.of(undefined, '/tasks/exit').length > CONTAINERS, BOUND_MS);
    await inParallel(tasks, async (task) => void (await task.delete()));
    await eventually('all events', () => lab.daemon.of(undefined, '/tasks/delete').length > CONTAINERS, BOUND_MS);
    for (const id of ids) assert.deepEqual(lab.daemon.story(id), ['create', 'start', `exit ${id} 137`, 'delete']);
    assert.deepEqual(zombiesOf(shim.pid), []);
    await eventually('descriptors as before', () => shim.descriptors().length === before.length).catch(() =>
      assert.deepEqual(shim.descriptors(), before),
    );
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  { timeout: 2 * BOUND_MS },
);

shimTest(
  `bug 4, field 4: an init is killed with ${EXECS} execs running and some being started: all their exits are told, then its own`,
  async (lab) => {
    const task = await lab.task('c', undefined, quiet);
    await task.start();
    const ids = Array.from({ length: EXECS }, (_, n) => `e${n}`);
    const late = Array.from({ length: AT_ONCE }, (_, n) => `late${n}`);
    await inParallel(ids, async (id) => {
      await task.exec(id, ['/bin/sleep', '1000'], quiet);
      await task.start(id);
    });
    for (const id of late) await task.exec(id, ['/bin/sleep', '1000'], quiet);
    const waits = ids.map((id) => task.wait(id));
    const starts = late.map((id) =>
      task.start(id).then(
        () => id,
        () => undefined,
      ),
    );
    process.kill(task.pid, 'SIGKILL');
    for (const { exitStatus } of await within('all waits', Promise.all(waits), BOUND_MS)) assert.equal(exitStatus, 137);
    const started = [...ids, ...(await Promise.all(starts)).filter((id) => id !== undefined)];
    assert.equal((await within('the init', task.wait(), BOUND_MS)).exitStatus, 137);
    await lab.daemon.saw('exit', 'c', 'c');
    const story = lab.daemon.story('c');
    assert.equal(story.at(-1), 'exit c 137');
    assert.deepEqual(
      story.filter((one) => one.startsWith('exit ')).sort(),
      [...started, 'c'].map((id) => `exit ${id} 137`).sort(),
    );
    for (const id of started) {
      assert.ok(story.indexOf(`exec-started ${id}`) < story.indexOf(`exit ${id} 137`), id);
    }
    await inParallel([...ids, ...late], async (id) => void (await task.delete(id)));
    await task.delete();
    await task.shim.shutdown();
    await lab.assertNothingLeft();
  },
  { timeout: 2 * BOUND_MS },
);
