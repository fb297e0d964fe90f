/** Flags that change a container's spec, beside what docker makes of the same: found out from inside of containers of both. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage } from '../support/daemons.js';
import { removeCgroups } from '../support/machine.js';
import { Lab } from './lab.js';

/** Any that the kernel has. */
const DISK = '/dev/loop0';

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

test('--device-cgroup-rule: what may be used when it is there', async () => {
  const script =
    'busybox mknod /dev/mine c 250 77; busybox mknod /dev/other c 250 78; (: </dev/mine) 2>&1; (: >/dev/mine) 2>&1; (: </dev/other) 2>&1; true';
  const said = await same(['--device-cgroup-rule', 'c 250:77 r'], script);
  // Of no driver: who may open it finds none.
  assert.match(
    said,
    /mine: No such device or address\n.*mine: Operation not permitted\n.*other: Operation not permitted$/,
  );
  assert.match(await same(['--device-cgroup-rule', 'c 250:* rw'], script), /other: No such device or address$/);
  for (const rule of ['c 250:77', 'x 1:1 r', 'c 250:77 rx', '']) {
    const { exitCode, stderr } = await lab.hawser(['run', '--rm', '--device-cgroup-rule', rule, 'plain', 'true']);
    assert.equal(exitCode, 125);
    assert.match(stderr, /^hawser: --device-cgroup-rule ".*": it is TYPE MAJOR:MINOR ACCESS, such as /);
    assert.equal(
      (await dockerd.docker(['create', '--device-cgroup-rule', rule, 'plain'], { reject: false })).exitCode,
      125,
    );
  }
});

test('--device-read-bps and its like: what one disk gives', async () => {
  const disk = DISK;
  const flags = [
    '--device-read-bps',
    `${disk}:1mb`,
    '--device-write-bps',
    `${disk}:2m`,
    '--device-read-iops',
    `${disk}:30`,
    '--device-write-iops',
    `${disk}:40`,
  ];
  const id = await lab.ok([
    'create',
    ...flags,
    '--blkio-weight-device',
    `${disk}:200`,
    '--blkio-weight',
    '300',
    'plain',
  ]);
  const [, major, minor] = /(\d+), *(\d+)/.exec(execFileSync('ls', ['-l', disk], { encoding: 'utf8' }))!.map(Number);
  assert.deepEqual(JSON.parse(await lab.ok(['inspect', '-f', '{{json .Spec.linux.resources.blockIO}}', id])), {
    weight: 300,
    weightDevice: [{ major, minor, weight: 200 }],
    throttleReadBpsDevice: [{ major, minor, rate: 1 << 20 }],
    throttleWriteBpsDevice: [{ major, minor, rate: 2 << 20 }],
    throttleReadIOPSDevice: [{ major, minor, rate: 30 }],
    throttleWriteIOPSDevice: [{ major, minor, rate: 40 }],
  });
  await lab.ok(['rm', id]);
  for (const [flag, value, says] of [
    ['--device-read-bps', 'sda:1mb', /it is \/dev\/DISK:RATE$/],
    ['--device-read-bps', `${disk}`, /it is \/dev\/DISK:RATE$/],
    ['--device-read-bps', `${disk}:much`, /"much" is no size/],
    ['--device-write-bps', `${disk}:-1`, /a rate is a number of bytes each second/],
    ['--device-write-iops', `${disk}:1mb`, /a rate is a number of operations each second$/],
    ['--blkio-weight-device', `${disk}:5`, /a weight is from 10 to 1000, or 0 for the usual$/],
  ] as const) {
    const { exitCode, stderr } = await lab.hawser(['create', flag, value, 'plain']);
    assert.equal(exitCode, 125);
    assert.ok(stderr.startsWith(`hawser: ${flag} "${value}`), stderr);
    assert.match(stderr.replace(/\. See .*/, ''), says);
    assert.equal(
      (await dockerd.docker(['create', flag, value, 'plain'], { reject: false })).exitCode,
      125,
      `${flag} ${value}`,
    );
  }
  const { stderr } = await lab.hawser(['create', '--device-read-bps', '/dev/null:1mb', 'plain']);
  assert.match(stderr, /disk \/dev\/null: it is no disk on this machine/);
});

test('--cpu-rt-runtime, --cpu-rt-period', async () => {
  const id = await lab.ok(['create', '--cpu-rt-runtime', '950', '--cpu-rt-period', '1000', 'plain']);
  assert.deepEqual(JSON.parse(await lab.ok(['inspect', '-f', '{{json .Spec.linux.resources.cpu}}', id])), {
    realtimeRuntime: 950,
    realtimePeriod: 1000,
  });
  await lab.ok(['rm', id]);
});

test('--domainname and --userns', async () => {
  assert.equal(
    await same(['--domainname', 'acme.test', '--hostname', 'box'], 'cat /proc/sys/kernel/domainname'),
    'acme.test',
  );
  await same(['--userns', 'host'], 'cat /proc/self/uid_map');
  const id = await lab.ok(['create', '--domainname', 'acme.test', 'plain']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.Config.Domainname}}', id]), 'acme.test');
  await lab.ok(['rm', id]);
  for (const [flags, says] of [
    [['--userns', 'private'], /^hawser: --userns "private": users are not mapped here, so there is host alone/],
    [['--domainname', 'a', '--uts', 'host'], /^hawser: --domainname and --uts host: /],
  ] as const) {
    const { exitCode, stderr } = await lab.hawser(['run', '--rm', ...flags, 'plain', 'true']);
    assert.equal(exitCode, 125);
    assert.match(stderr, says);
  }
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
