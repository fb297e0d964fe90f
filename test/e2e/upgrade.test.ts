/** A real containerd's shims are given another version while their containers run; ctr is the client. Needs root. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { Containerd, temporaryDirectory, until, warnings } from '../support/daemons.js';
import { Installation } from '../support/installation.js';
import { allProcesses } from '../support/machine.js';

const IDS = ['one', 'two', 'three'];
let containerd: Containerd;
let installed: Installation;

before(async () => {
  installed = new Installation(temporaryDirectory('upgrade')).install('1.0.0');
  containerd = await new Containerd(join(installed.library, 'bin')).start();
});

after(async () => {
  await containerd.cleanUp();
  installed.remove();
});

function shimOf(id: string): number {
  const found = allProcesses().find(
    ({ command }) =>
      command.includes(` -namespace ${containerd.namespace} `) &&
      command.includes(` -id ${id} `) &&
      command.endsWith(' start'),
  );
  assert.ok(found, `the shim of ${id} runs`);
  return found.pid;
}

/** What containerd has logged of shims. */
const complaints = (): string[] => warnings(containerd.logText()).filter((line) => /shim|ttrpc|task|exit/i.test(line));

test('containers of containerd notice nothing of it, and neither does containerd', async () => {
  for (const id of IDS)
    await containerd.ctr([
      'run',
      '-d',
      '--rootfs',
      containerd.rootfs,
      id,
      '/bin/sh',
      '-c',
      'trap "exit 5" TERM; while :; do sleep 0.05; done',
    ]);
  const pids = IDS.map(shimOf);
  // One of them is woken for this, or about to sleep, as it is.
  const waiting = execa(...containerd.command(['tasks', 'attach', 'one']), { reject: false, stdin: 'ignore' });
  const exec = containerd.ctr(
    ['tasks', 'exec', '--exec-id', 'lasting', 'two', '/bin/sh', '-c', 'sleep 2; echo done; exit 6'],
    { reject: false },
  );
  installed.install('2.0.0');
  const { stdout, exitCode, stderr } = await execa(
    installed.binary,
    ['-address', containerd.socket, 'upgrade', '--all', '--wait', '60'],
    { reject: false, env: { HAWSER_RUN_DIR: containerd.dir } },
  );
  assert.deepEqual([exitCode, stderr], [0, ''], stdout);
  assert.deepEqual(
    stdout
      .split('\n')
      .map((line) => line.replace(/ \(\w+\)/g, ''))
      .sort(),
    IDS.map((id) => `${containerd.namespace}/${id}: ran 1.0.0, runs 2.0.0`).sort(),
  );
  assert.deepEqual(IDS.map(shimOf), pids, 'they are the processes that they were');
  for (const pid of pids) assert.equal(statSync(`/proc/${pid}/exe`).ino, statSync(installed.binary).ino);

  const lasting = await exec;
  assert.deepEqual([lasting.exitCode, lasting.stdout], [6, 'done']);
  assert.deepEqual(complaints(), []);
  for (const id of IDS) {
    const { stdout: out } = await containerd.ctr(['tasks', 'exec', '--exec-id', 'x', id, '/bin/echo', 'hello']);
    assert.equal(out, 'hello');
    await containerd.ctr(['tasks', 'kill', '-s', 'TERM', id]);
  }
  assert.equal((await waiting).exitCode, 5, 'who was attached before has its status');
  // ctr deletes the task that it was attached to.
  for (const id of IDS.slice(1)) {
    await until(`${id} to be seen to have ended`, async () =>
      new RegExp(`^${id} .*STOPPED`, 'm').test((await containerd.ctr(['tasks', 'ls'])).stdout),
    );
    const removed = await containerd.ctr(['tasks', 'rm', id], { reject: false });
    assert.match(removed.stderr, /exit with non-zero exit code 5/);
  }
  for (const id of IDS) await containerd.ctr(['containers', 'rm', id]);
  await until('the shims to be gone', () => !allProcesses().some(({ pid }) => pids.includes(pid)));
  const exits = containerd.logText().match(/\/tasks\/exit/g) ?? [];
  assert.ok(exits.length > 0);
  // containerd 1.6 says so of each shim, however its container has ended.
  assert.deepEqual(
    complaints().filter((line) => !line.includes('cleaning up after shim disconnected')),
    [],
  );
});
