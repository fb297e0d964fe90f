/** What hawser makes of a command line and an image, beside what docker makes of the same: both on one hawserd. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;

before(async () => {
  lab = await Lab.open();
  const { rootfs } = lab;
  for (const name of ['passwd', 'group']) rmSync(join(rootfs, 'etc', name));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nana:x:501:20::/:/bin/sh\nana:x:502:21::/:/bin/sh\n1000:x:7:7::/:/bin/sh\n');
  mkdirSync(join(rootfs, 'data'));
  writeFileSync(join(rootfs, 'data/group'), `root:x:0:\nwheel:x:10:root,ana\n# x:x:11:ana\n  blank:x:12:ana\nspaces:x:13:root, ana\nempty:x:14:\nnone:x:15\ntwice:x:16:ana,ana,,\nlong:x:17:${'x,'.repeat(5000)}ana\n`);
  // Absolute, so that it leads to a file of the host for whoever does not mind.
  symlinkSync('/data/group', join(rootfs, 'etc/group'));
  dockerd = await new Dockerd(lab.daemon).start();
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

/** An image that both have, of the same files. */
async function image(name: string, config: object): Promise<void> {
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, `docker.io/library/${name}:latest`, ['/bin/sleep', '1000'], config);
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
}

/** What either prints and ends with; a failure's words are their own. */
async function both(args: string[], more: { readonly docker?: string[]; readonly hawser?: string[] } = {}): Promise<{ docker: [string, number | undefined]; hawser: [string, number | undefined] }> {
  const [docker, hawser] = await Promise.all([dockerd.docker([...args, ...more.docker ?? []], { reject: false }), lab.hawser([...args, ...more.hawser ?? []])]);
  return { docker: [docker.stdout, docker.exitCode], hawser: [hawser.stdout, hawser.exitCode] };
}

/** Asserts that they do the same. */
async function same(args: string[], what = args.join(' ')): Promise<string> {
  const { docker, hawser } = await both(args);
  assert.deepEqual(hawser, docker, what);
  return hawser[0];
}

test('users and groups: by flags, by the image, of execs', async () => {
  const status = ['grep', '-E', '^(Uid|Gid|Groups):', '/proc/self/status'];
  await image('plain', {});
  for (const user of ['', '0:0', '1000:1000', '501', 'ana:wheel', '1000', 'ana:', ':10', 'nemo', '2147483648']) {
    await same(['run', '--rm', ...(user === '' ? [] : ['-u', user]), 'plain', ...status]);
  }
  for (const user of ['501', 'ana:10']) {
    await image('users', { User: user });
    await same(['run', '--rm', 'users', ...status], `an image of user ${user}`);
  }
  await same(['run', '--rm', '-u', '0', 'users', ...status]);
  for (const [name, flags] of [['plain', []], ['users', ['-u', 'ana']]] as const) {
    const docker = ['run', '-d', '--name', `host-${name}`, ...flags, name];
    await dockerd.docker(docker);
    await lab.ok(docker);
    for (const user of name === 'users' ? [[], ['-u', 'root']] : [[], ['-u', '1000:2000'], ['-u', 'ana'], ['-u', '7:wheel']]) await same(['exec', ...user, `host-${name}`, ...status]);
    for (const remove of [dockerd.docker(['rm', '-f', `host-${name}`]), lab.ok(['rm', '-f', `host-${name}`])]) await remove;
  }
});

test('limits of processes: -1 is none, in a container and its execs', async () => {
  const core = ['grep', 'core file', '/proc/self/limits'];
  assert.match(await same(['run', '--rm', '--ulimit', 'core=-1', 'plain', ...core]), /unlimited +unlimited/);
  await same(['run', '--rm', '--ulimit', 'core=1', '--ulimit', 'core=5:-1', 'plain', ...core]);
  await same(['run', '--rm', '--ulimit', 'core=-1:5', 'plain', ...core]);
  const docker = ['run', '-d', '--name', 'limited', '--ulimit', 'core=7:-1', 'plain'];
  await Promise.all([dockerd.docker(docker), lab.ok(docker)]);
  await same(['exec', 'limited', ...core]);
  const inspect = JSON.parse(await lab.ok(['inspect', '-f', '{{json .Spec.process.rlimits}}', 'limited']), (_, value: unknown) => value) as { hard: number }[];
  assert.equal(inspect.length, 2);
  assert.match(await lab.ok(['inspect', 'limited']), /"hard": 18446744073709551615\b/);
  await Promise.all([dockerd.docker(['rm', '-f', 'limited']), lab.ok(['rm', '-f', 'limited'])]);
});
