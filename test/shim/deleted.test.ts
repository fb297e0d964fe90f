/**
 * The `delete` action after a deletion that the shim itself saw through: the daemon runs it every time, and there is
 * nothing left to do. The launcher prints what the shim has left for it, and starts no Node.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { containerd } from '../../src/api/index.js';
import { eventually } from '../support/eventually.js';
import { hawserOnly, shimTest, type Lab } from '../support/shim.js';

const options: { skip: string | false } = { skip: hawserOnly };

/** What the launcher would print by itself: unlike anything that Node would say. */
const MARK = containerd.task.v2.DeleteResponse.encode({ pid: 4711, exitStatus: 99 }).finish();

const wordFile = (lab: Lab, id: string): string => join(lab.bundlePath(id), 'deleted');

/** A container that has been deleted in every way, and whose shim is gone. */
async function deleted(
  lab: Lab,
  id: string,
  args = ['/bin/sh', '-c', 'exit 7'],
): Promise<containerd.task.v2.DeleteResponse> {
  const task = await lab.task(id, args);
  await task.start();
  await task.wait();
  const response = await task.delete();
  await task.shim.shutdown();
  return response;
}

shimTest(
  'the delete action after a deletion says what the deletion said',
  async (lab) => {
    const response = await deleted(lab, 'c');
    const action = await lab.deleteAction('c');
    assert.deepEqual([action.status, action.stderr], [0, '']);
    assert.deepEqual(action.stdout, Buffer.from(containerd.task.v2.DeleteResponse.encode(response).finish()));
    assert.equal(response.exitStatus, 7);
  },
  options,
);

shimTest(
  'it is the launcher that says it, from what the shim has left',
  async (lab) => {
    await deleted(lab, 'c');
    writeFileSync(wordFile(lab, 'c'), MARK);
    assert.deepEqual((await lab.deleteAction('c')).stdout, Buffer.from(MARK));
    // Twice is as good as once, and another order of the flags is none.
    assert.deepEqual((await lab.deleteAction('c', { debug: false })).stdout, Buffer.from(MARK));
    const other = await lab.run([`--id=c`, '-debug', '--namespace=x', 'delete'], { cwd: lab.bundlePath('c') });
    assert.deepEqual(other.stdout, Buffer.from(MARK));
  },
  options,
);

shimTest(
  'a container that was never started, and then deleted, was killed',
  async (lab) => {
    const task = await lab.task('c');
    await task.delete();
    await task.shim.shutdown();
    const { response, status } = await lab.deleteAction('c');
    assert.deepEqual([status, response.pid, response.exitStatus], [0, task.pid, 137]);
  },
  options,
);

shimTest(
  "the word of an earlier container with this bundle is not the next one's",
  async (lab) => {
    await deleted(lab, 'c');
    assert.ok(existsSync(wordFile(lab, 'c')));
    const shim = await lab.shim('c');
    const next = await shim.create('c', { stdio: lab.stdio('next') });
    assert.equal(existsSync(wordFile(lab, 'c')), false);
    process.kill(shim.pid, 'SIGKILL');
    await shim.gone();
    const { response } = await lab.deleteAction('c');
    assert.deepEqual([response.pid, response.exitStatus], [next.pid, 137]);
    await lab.assertNothingLeft();
  },
  options,
);

shimTest(
  'a socket that its shim has left behind is still removed',
  async (lab) => {
    const task = await lab.task('c', ['/bin/true']);
    await task.start();
    await task.wait();
    await task.delete();
    process.kill(task.shim.pid, 'SIGKILL');
    await task.shim.gone();
    // Its last thread holds the socket a moment longer than its first.
    await eventually(
      'nobody listens',
      () =>
        new Promise((resolve) => {
          const probe = connect(task.shim.socket, () => resolve(false))
            .on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
            .on('close', () => probe.destroy());
        }),
    );
    writeFileSync(wordFile(lab, 'c'), MARK);
    const { response, status } = await lab.deleteAction('c');
    assert.deepEqual([status, response.pid, response.exitStatus], [0, task.pid, 0], 'Node has looked into it');
    assert.equal(existsSync(task.shim.socket), false);
  },
  options,
);

shimTest(
  'a shim that others of the group still need is left alone',
  async (lab) => {
    const grouped = {
      edit: (spec: { annotations?: Record<string, string> }): void => {
        spec.annotations = { 'io.containerd.runc.v2.group': 'g' };
      },
    };
    const first = await lab.task('a', undefined, grouped);
    lab.bundle('b', ['/bin/true'], grouped.edit);
    const member = await (await lab.shim('b')).create('b');
    await member.start();
    await member.wait();
    await member.delete();
    writeFileSync(wordFile(lab, 'b'), MARK);
    assert.deepEqual((await lab.deleteAction('b')).stdout, Buffer.from(MARK));
    assert.ok(existsSync(first.shim.socket));
    assert.equal((await first.state()).id, 'a');
    await first.delete();
    await first.shim.shutdown();
  },
  options,
);

shimTest(
  'what the launcher does not understand is for Node to say',
  async (lab) => {
    await deleted(lab, 'c');
    writeFileSync(wordFile(lab, 'c'), MARK);
    const cwd = lab.bundlePath('c');
    for (const [args, status, text] of [
      [['-id', 'c', 'delete'], 1, /namespace cannot be empty/],
      [['-namespace', 'x', '-id', 'c', '-nonsense', 'delete'], 2, /flag provided but not defined: -nonsense/],
      [['-namespace', 'x', '-id', '../c', 'delete'], 1, /must match/],
      [['-namespace', 'x', 'delete'], 1, /./],
    ] as const) {
      const result = await lab.run(args, { cwd });
      assert.equal(result.status, status, args.join(' '));
      assert.match(result.stderr, text);
      assert.equal(result.stdout.length, 0);
    }
  },
  options,
);

shimTest(
  'an empty word, or one behind a link, is not taken',
  async (lab) => {
    const { pid } = await deleted(lab, 'c');
    writeFileSync(wordFile(lab, 'c'), '');
    assert.equal((await lab.deleteAction('c')).response.pid, pid);
    renameSync(wordFile(lab, 'c'), join(lab.dir, 'elsewhere'));
    mkdirSync(wordFile(lab, 'c'));
    assert.equal((await lab.deleteAction('c')).response.pid, pid);
    rmSync(wordFile(lab, 'c'), { recursive: true });
    await eventually('nothing is left', () => lab.snapshot().processes.length === 0);
  },
  options,
);
