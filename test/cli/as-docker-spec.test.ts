/** Flags that change a container's spec, beside what docker makes of the same: found out from inside of containers of both. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage } from '../support/daemons.js';
import { removeCgroups } from '../support/machine.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;

before(async () => {
  lab = await Lab.open();
  dockerd = await new Dockerd(lab.daemon).start();
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, 'docker.io/library/plain:latest', ['/bin/sleep', '1000']);
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

/** Runs it with both, and asserts that it prints the same. */
async function same(flags: readonly string[], script: string): Promise<string> {
  const args = ['run', '--rm', '--network', 'none', ...flags, 'plain', 'sh', '-c', script];
  const [docker, hawser] = await Promise.all([dockerd.docker([...args]), lab.ok(args)]);
  assert.equal(hawser, docker.stdout, flags.join(' '));
  return hawser;
}

test('--shm-size and --ipc: how much shared memory, and whose', async () => {
  const shm = "grep ' /dev/shm ' /proc/self/mounts; [ -e /dev/shm/x ] || echo nothing";
  assert.match(await same(['--shm-size', '1m'], shm), /size=1024k/);
  for (const flags of [
    ['--ipc', 'private'],
    ['--ipc', 'none'],
    ['--ipc', 'host'],
    ['--ipc', 'none', '--shm-size', '1m'],
  ])
    await same(flags, shm);
});

test('--group-add: by number, by name, for another user', async () => {
  const groups = 'grep Groups /proc/self/status';
  await same(['--group-add', '4321', '--group-add', 'nogroup'], groups);
  assert.match(await same(['--user', 'nobody', '--group-add', '7'], groups), /\b7\b/);
  const { exitCode, stderr } = await lab.hawser(['run', '--rm', '--group-add', 'none-such', 'plain', 'true']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /"none-such": \/etc\/group of the container has no none-such/);
});

test('--oom-score-adj', async () => {
  assert.equal(await same(['--oom-score-adj', '321'], 'cat /proc/self/oom_score_adj'), '321');
  for (const value of ['1001', '-1001', 'high']) {
    const { exitCode, stderr } = await lab.hawser(['run', '--rm', '--oom-score-adj', value, 'plain', 'true']);
    assert.equal(exitCode, 125, value);
    assert.match(stderr, /^hawser: --oom-score-adj /);
  }
});

test("--uts host, --cgroupns: the host's name and cgroups", async () => {
  assert.equal(await same(['--uts', 'host'], 'hostname'), hostname());
  const own = 'while IFS=: read -r _ _ path; do [ "$path" = / ] || echo below; done </proc/self/cgroup | head -n 1';
  assert.equal(await same(['--cgroupns', 'private'], own), '');
  assert.equal(await same(['--cgroupns', 'host'], own), 'below');
});

test('--cgroup-parent: its cgroup is made there', async (t) => {
  const parent = `${lab.daemon.namespace}/parent`;
  t.after(() => removeCgroups(`/${lab.daemon.namespace}`));
  const inside = async (flags: string[]): Promise<string> =>
    same(
      ['--cgroupns', 'host', ...flags],
      "grep -E '^([0-9]+:memory|0:):' /proc/self/cgroup | head -n 1 | while IFS=: read -r _ _ path; do echo ${path%/*}; done",
    );
  assert.equal(await inside(['--cgroup-parent', `/${parent}`]), `/${parent}`);
  // As docker's manual has it; what runc makes of it depends on where the daemon is.
  const name = await lab.ok(['create', '--cgroup-parent', 'mine', 'plain']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.Spec.linux.cgroupsPath}}', name]), `/mine/${name}`);
});

test('--init: a program that reaps is first, and the exit status is that of the other', async () => {
  const first = 'cat /proc/1/comm; busybox tr "\\0" " " </proc/1/cmdline; grep -c docker-init /proc/self/mounts';
  assert.match(await same(['--init'], first), /^docker-init\n\/sbin\/docker-init -- sh -c /);
  await same(['--init', '--pid', 'host'], '[ -e /sbin/docker-init ] || echo none');
  const args = ['run', '--rm', '--network', 'none', '--init', 'plain'];
  for (const [command, status] of [
    [['sh', '-c', 'exit 7'], 7],
    [['no-such'], 127],
  ] as const) {
    assert.equal((await lab.hawser([...args, ...command])).exitCode, status);
    assert.equal((await dockerd.docker([...args, ...command], { reject: false })).exitCode, status);
  }
  const name = await lab.ok(['create', '--init', 'plain', 'sleep', '5']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.Path}} {{json .Config.Cmd}}', name]), 'sleep ["sleep","5"]');
  const orphan = '(sh -c "sleep 0.1 &"); sleep 1; ps | grep -c "sleep 0.1"; true';
  assert.equal(await same(['--init'], orphan.replace('ps |', 'ps | grep -v grep |')), '0');
});

test('what cannot be shared is said, with what there is', async () => {
  for (const [flag, value] of [
    ['--pid', 'mine'],
    ['--ipc', 'container:web'],
    ['--uts', 'mine'],
    ['--cgroupns', 'shared'],
  ] as const) {
    const { exitCode, stderr } = await lab.hawser(['run', '--rm', flag, value, 'plain', 'true']);
    assert.equal(exitCode, 125);
    assert.match(stderr, new RegExp(`^hawser: ${flag} "${value}": .*there are private, `));
  }
  const { exitCode, stderr } = await lab.hawser(['run', '--rm', '--pid', 'container:nobody', 'plain', 'true']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --pid: container nobody does not exist /);
});
