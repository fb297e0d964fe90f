/** Devices of the Container Device Interface by --device, beside what the dockerd of a newer Debian makes of the same files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage, top } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;
/** Two directories of descriptions. */
let etc: string;
let run: string;
/** What the hook is told, a line for each container. */
let told: string;

before(async () => {
  lab = await Lab.open();
  [etc, run] = [join(lab.daemon.dir, 'etc-cdi'), join(lab.daemon.dir, 'run-cdi')];
  told = join(lab.daemon.dir, 'told');
  for (const directory of [etc, run]) mkdirSync(directory);
  const place = execFileSync('sh', [join(top, 'test/support/packages.sh'), 'docker@forky'], { encoding: 'utf8' });
  const dir = place.trim().split(' ')[2]!;
  dockerd = new Dockerd(lab.daemon, undefined, { dockerd: join(dir, 'dockerd'), docker: join(dir, 'docker') });
  await dockerd.start(['--cdi-spec-dir', etc, '--cdi-spec-dir', run]);
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, 'docker.io/library/plain:latest', ['/bin/sleep', '1000']);
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
  writeFileSync(join(lab.daemon.dir, 'library'), 'of the vendor\n');
  writeFileSync(
    join(etc, 'acme.yaml'),
    `cdiVersion: 0.7.0
kind: acme.com/thing
containerEdits:
  env: [ACME=yes]
  mounts:
  - {hostPath: ${join(lab.daemon.dir, 'library')}, containerPath: /usr/lib/acme, options: [ro, bind]}
devices:
- name: zero
  containerEdits:
    env: [NAME=zero]
    deviceNodes:
    - {path: /dev/acme0, hostPath: /dev/zero, fileMode: 0640, uid: 7, gid: 8}
    additionalGids: [44]
- name: "1"
  containerEdits:
    env: [NAME=one, PATH=/acme]
    # Of no driver: that it may be opened is seen by what the kernel says.
    deviceNodes:
    - {path: /dev/acme1, type: c, major: 250, minor: 77, permissions: r}
    hooks:
    - {hookName: createRuntime, path: /bin/sh, args: [sh, -c, 'cat >>${told}; echo >>${told}']}
- name: all
  containerEdits:
    deviceNodes:
    - {path: /dev/acme0, hostPath: /dev/zero}
`,
  );
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

const SCRIPT = [
  'busybox env | busybox grep -E "^(ACME|NAME|PATH)=" | busybox sort',
  'busybox ls -ln /dev | busybox grep acme | busybox tr -s " " | busybox cut -d " " -f 1-6,10',
  'busybox cat /usr/lib/acme; busybox grep " /usr/lib/acme " /proc/mounts | busybox cut -d " " -f 2,4 | busybox cut -d , -f 1',
  '(: </dev/acme1) 2>&1; (: >/dev/acme1) 2>&1',
  'busybox head -c 5 /dev/acme0 2>&1 | busybox wc -c',
].join('; ');

/** Runs it with both, and asserts that it prints the same. */
async function same(flags: readonly string[]): Promise<string> {
  const args = ['run', '--rm', '--network', 'none', ...flags];
  const command = ['plain', '/bin/busybox', 'sh', '-c', SCRIPT];
  const dirs = ['--cdi-spec-dir', etc, '--cdi-spec-dir', run];
  const docker = await dockerd.docker([...args, ...command]);
  const hawser = await lab.ok([...args, ...dirs, ...command]);
  assert.equal(hawser, docker.stdout, flags.join(' '));
  return hawser;
}

test('a device with its settings, mounts, groups and hooks, as docker has it', async () => {
  const zero = await same(['--device', 'acme.com/thing=zero', '-e', 'ACME=mine']);
  assert.match(zero, /^ACME=yes\nNAME=zero\n/);
  assert.match(zero, /^crw-r----- 1 7 8 1, 5 acme0$/m);
  assert.match(zero, /^of the vendor\n\/usr\/lib\/acme ro$/m);
  assert.match(zero, /\n5$/);

  // dockerd finds out who the user is afterwards: it forgets these, and such a device is always root's.
  const flags = ['--device', 'acme.com/thing=zero', '--cdi-spec-dir', etc];
  assert.match(await lab.ok(['run', '--rm', ...flags, 'plain', 'grep', 'Groups', '/proc/self/status']), /\b44\b/);
  const mine = ['--device', 'acme.com/thing=1', '--cdi-spec-dir', etc, '--user', '1000:1001'];
  assert.match(
    await lab.ok(['run', '--rm', ...mine, 'plain', '/bin/busybox', 'ls', '-ln', '/dev/acme1']),
    / 1000 +1001 +250, +77 /,
  );

  const one = await same(['--device', 'acme.com/thing=1']);
  assert.match(one, /NAME=one\nPATH=\/acme\n/);
  // It may be read from, and there is no driver; it may not be written to.
  assert.match(one, /acme1: No such device or address\n.*acme1: Operation not permitted\n/);
  const states = readFileSync(told, 'utf8').trim().split('\n');
  assert.equal(states.length, 3);
  for (const state of states) assert.match((JSON.parse(state) as { status: string }).status, /^creat(?:ed|ing)$/);
});

test('several, with devices by their paths, a privileged container', async () => {
  const both = await same([
    '--device',
    'acme.com/thing=zero',
    '--device',
    'acme.com/thing=1',
    '--device',
    '/dev/full:/dev/acme-full',
  ]);
  assert.match(both, /NAME=one/);
  assert.match(both, /acme-full$/m);
  await same(['--privileged', '--device', 'acme.com/thing=1']);
});

test('a later directory holds', async (t) => {
  const file = join(run, 'acme.json');
  t.after(() => rmSync(file));
  const device = { name: 'zero', containerEdits: { env: ['NAME=later'] } };
  writeFileSync(file, JSON.stringify({ cdiVersion: '0.3.0', kind: 'acme.com/thing', devices: [device] }));
  // dockerd looks when its watch tells; what both have must be what the files say.
  const says = await lab.ok([
    'run',
    '--rm',
    '--device',
    'acme.com/thing=zero',
    '--cdi-spec-dir',
    etc,
    '--cdi-spec-dir',
    run,
    'plain',
    '/bin/busybox',
    'env',
  ]);
  assert.match(says, /^NAME=later$/m);
  assert.doesNotMatch(says, /^ACME=/m);
});

test('--gpus: those of NVIDIA, as they are described', async (t) => {
  const file = join(run, 'nvidia.json');
  t.after(() => rmSync(file));
  const devices = ['0', '1', 'all'].map((name) => ({ name, containerEdits: { env: [`GPU${name}=1`] } }));
  writeFileSync(file, JSON.stringify({ cdiVersion: '0.5.0', kind: 'nvidia.com/gpu', devices }));
  for (const [said, seen] of [
    ['all', ['GPUall=1']],
    ['2', ['GPU0=1', 'GPU1=1']],
    ['device=1', ['GPU1=1']],
    ['"device=0,1",capabilities=utility', ['GPU0=1', 'GPU1=1']],
    ['driver=nvidia,count=1', ['GPU0=1']],
  ] as const) {
    const text = await lab.ok(['run', '--rm', '--gpus', said, '--cdi-spec-dir', run, 'plain', 'busybox', 'env']);
    assert.deepEqual(
      text
        .split('\n')
        .filter((line) => line.startsWith('GPU'))
        .sort(),
      seen,
      said,
    );
  }
  for (const [said, says] of [
    ['some', /^hawser: --gpus "some": "some" is no number: it is all, a number, or/],
    ['driver=amd', /there is no driver "amd"/],
    ['1,device=0', /is said twice/],
    ['3', /CDI device nvidia\.com\/gpu=2: it is described neither/],
  ] as const)
    assert.match(
      (await lab.hawser(['run', '--rm', '--gpus', said, '--cdi-spec-dir', run, 'plain', 'true'])).stderr,
      says,
    );
});

test('what is not there is said, with where it was looked for, and nothing is left', async (t) => {
  const device = async (name: string, dirs = ['--cdi-spec-dir', etc, '--cdi-spec-dir', run]): Promise<string> => {
    const { stderr, exitCode } = await lab.hawser(['run', '--rm', '--device', name, ...dirs, 'plain', 'true']);
    assert.equal(exitCode, 125, stderr);
    return stderr;
  };
  assert.match(
    await device('acme.com/thing=two'),
    /^hawser: container \w+ cannot be made: CDI device acme\.com\/thing=two: it is described neither in a \*\.json nor in a \*\.yaml of \S+etc-cdi and \S+run-cdi, where there are acme\.com\/thing=1, acme\.com\/thing=all, acme\.com\/thing=zero/,
  );
  assert.match(await device('acme.com/none=0', []), /a \*\.yaml of \/etc\/cdi and \/var\/run\/cdi, where there /);
  const file = join(run, 'broken.yaml');
  writeFileSync(file, 'cdiVersion: 9.0.0\nkind: broken.com/a\n');
  t.after(() => rmSync(file, { force: true }));
  assert.match(
    await device('broken.com/a=b'),
    /; \S+run-cdi\/broken\.yaml cannot be used: its cdiVersion "9\.0\.0" is not supported/,
  );
  // That one is nobody else's concern.
  await lab.ok([
    'run',
    '--rm',
    '--device',
    'acme.com/thing=all',
    '--cdi-spec-dir',
    etc,
    '--cdi-spec-dir',
    run,
    'plain',
    'true',
  ]);
  writeFileSync(file, 'kind: [\n');
  assert.match(await device('broken.com/a=b'), /broken\.yaml cannot be used: .* at line \d+, column \d+/);
  assert.match(
    await device('acme.com/thing'),
    /device "acme\.com\/thing": acme\.com\/thing is no device of this machine, nor is it of the form vendor\.com\/class=name/,
  );
  assert.equal(await lab.ok(['ps', '-aq']), '');
});
