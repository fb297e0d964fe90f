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
  writeFileSync(
    join(rootfs, 'etc/passwd'),
    'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nana:x:501:20::/:/bin/sh\nana:x:502:21::/:/bin/sh\n1000:x:7:7::/:/bin/sh\n',
  );
  mkdirSync(join(rootfs, 'data'));
  writeFileSync(
    join(rootfs, 'data/group'),
    `root:x:0:\nwheel:x:10:root,ana\n# x:x:11:ana\n  blank:x:12:ana\nspaces:x:13:root, ana\nempty:x:14:\nnone:x:15\ntwice:x:16:ana,ana,,\nlong:x:17:${'x,'.repeat(5000)}ana\n`,
  );
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
  const archive = await makeImage(
    lab.daemon.dir,
    lab.rootfs,
    `docker.io/library/${name}:latest`,
    ['/bin/sleep', '1000'],
    config,
  );
  await lab.ok(['images', 'import', archive]);
  await dockerd.docker(['load', '-i', archive]);
}

/** What either prints and ends with; a failure's words are their own. */
async function both(
  args: string[],
  more: { readonly docker?: string[]; readonly hawser?: string[] } = {},
): Promise<{ docker: [string, number | undefined]; hawser: [string, number | undefined] }> {
  const [docker, hawser] = await Promise.all([
    dockerd.docker([...args, ...(more.docker ?? [])], { reject: false }),
    lab.hawser([...args, ...(more.hawser ?? [])]),
  ]);
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
  for (const [name, flags] of [
    ['plain', []],
    ['users', ['-u', 'ana']],
  ] as const) {
    const docker = ['run', '-d', '--name', `host-${name}`, ...flags, name];
    await dockerd.docker(docker);
    await lab.ok(docker);
    for (const user of name === 'users'
      ? [[], ['-u', 'root']]
      : [[], ['-u', '1000:2000'], ['-u', 'ana'], ['-u', '7:wheel']])
      await same(['exec', ...user, `host-${name}`, ...status]);
    for (const remove of [dockerd.docker(['rm', '-f', `host-${name}`]), lab.ok(['rm', '-f', `host-${name}`])])
      await remove;
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
  const inspect = JSON.parse(
    await lab.ok(['inspect', '-f', '{{json .Spec.process.rlimits}}', 'limited']),
    (_, value: unknown) => value,
  ) as { hard: number }[];
  assert.equal(inspect.length, 1);
  assert.match(await lab.ok(['inspect', 'limited']), /"hard": 18446744073709551615\b/);
  await Promise.all([dockerd.docker(['rm', '-f', 'limited']), lab.ok(['rm', '-f', 'limited'])]);
});

test('exit statuses of execs that cannot be started: program, directory, user', async () => {
  const docker = ['run', '-d', '--name', 'failing', 'plain'];
  await Promise.all([dockerd.docker(docker), lab.ok(docker)]);
  for (const [flags, program, status] of [
    [[], 'nope', 127],
    [[], '/no/such', 127],
    [[], '/etc/passwd', 126],
    [[], '/etc', 126],
    [['-w', '/no/dir'], 'true', 126],
    [['-w', '/etc/passwd'], 'true', 126],
  ] as const) {
    const {
      docker: [, theirs],
      hawser: [, ours],
    } = await both(['exec', ...flags, 'failing', program]);
    assert.equal(ours, status, `${flags.join(' ')} ${program}`);
    // dockerd 20.10 says 126 of every exec that cannot be started, later ones 127 of a program that is not there.
    assert.ok(theirs === status || theirs === 126, `${flags.join(' ')} ${program}: ${theirs} of docker`);
  }
  assert.match(
    (await lab.hawser(['exec', '-w', '/no/dir', 'failing', 'true'])).stderr,
    /^hawser: container failing: exec: working directory \/no\/dir is not there: /,
  );
  assert.match(
    (await lab.hawser(['exec', '-u', 'nemo', 'failing', 'true'])).stderr,
    /^hawser: container failing: exec could not be started: user "nemo": \/etc\/passwd of the container has no nemo/,
  );
  await Promise.all([dockerd.docker(['rm', '-f', 'failing']), lab.ok(['rm', '-f', 'failing'])]);
});

test("an image's stop signal, by name and number, and what it has in /run", async () => {
  mkdirSync(join(lab.rootfs, 'run'), { recursive: true });
  writeFileSync(join(lab.rootfs, 'run/of-the-image'), 'here\n');
  // The shell says which signal it was; 37 is SIGRTMIN+3.
  const listens = [
    'sh',
    '-c',
    'for s in TERM QUIT 37; do trap "exit 1$s" $s; done 2>/dev/null; trap "exit 15" TERM; trap "exit 3" QUIT; trap "exit 37" 37; while :; do sleep 0.1; done',
  ];
  for (const [name, signal] of [
    ['quit', 'SIGQUIT'],
    ['real', 'SIGRTMIN+3'],
    ['third', '3'],
  ] as const) {
    await image(name, { StopSignal: signal });
    const docker = ['run', '-d', '--name', name, name, ...listens];
    await Promise.all([dockerd.docker(docker), lab.ok(docker)]);
    await lab.ok(['exec', name, 'true']);
    await same(['stop', '-t', '20', name], `${name} stopped`);
    await same(['wait', name], `an image of stop signal ${signal}`);
    await Promise.all([dockerd.docker(['rm', '-f', name]), lab.ok(['rm', '-f', name])]);
  }
  const chosen = ['run', '-d', '--name', 'chosen', '--stop-signal', 'TERM', 'quit', ...listens];
  await Promise.all([dockerd.docker(chosen), lab.ok(chosen)]);
  assert.equal(await lab.ok(['inspect', '-f', '{{.Config.StopSignal}}', 'chosen']), 'TERM');
  await same(['stop', '-t', '20', 'chosen']);
  assert.equal(await same(['wait', 'chosen']), '15');
  assert.equal(await same(['run', '--rm', 'quit', 'cat', '/run/of-the-image']), 'here');
  await Promise.all([dockerd.docker(['rm', '-f', 'chosen']), lab.ok(['rm', '-f', 'chosen'])]);
});

test('times, rm -f of nothing, start of what runs, ids of images', async () => {
  await lab.ok(['run', '-d', '--name', 'timed', 'plain']);
  const times = async (): Promise<[created: string, started: string, ended: string]> =>
    (await lab.ok(['inspect', '-f', '{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}', 'timed'])).split(
      ' ',
    ) as [string, string, string];
  const [created, started] = await times();
  assert.ok(created <= started, `made at ${created}, started at ${started}`);
  const pid = await lab.ok(['inspect', '-f', '{{.State.Pid}}', 'timed']);
  assert.equal(await lab.ok(['start', 'timed']), 'timed', 'as docker, which has nothing to do');
  assert.equal(await lab.ok(['inspect', '-f', '{{.State.Pid}}', 'timed']), pid);
  await lab.ok(['pause', 'timed']);
  assert.match(
    (await lab.hawser(['start', 'timed'])).stderr,
    /^hawser: container timed is paused: `hawser unpause timed` has it go on$/,
  );
  await lab.ok(['unpause', 'timed']);
  await lab.ok(['stop', '-t', '0', 'timed']);
  const after = await times();
  assert.deepEqual(after.slice(0, 2), [created, started], 'the end does not change when it began');
  assert.ok(started <= after[2]);
  await lab.ok(['rm', 'timed']);
  await lab.ok(['run', '--name', 'short', 'plain', 'true']);
  const [begun, ended] = (await lab.ok(['inspect', '-f', '{{.State.StartedAt}} {{.State.FinishedAt}}', 'short'])).split(
    ' ',
  ) as [string, string];
  assert.ok(begun <= ended && begun.startsWith('2'), `${begun}, ${ended}`);
  const gone = await lab.hawser(['rm', '-f', 'short', 'nothing']);
  assert.deepEqual([gone.exitCode, gone.stdout], [0, 'short']);
  assert.match(gone.stderr, /^hawser: container nothing does not exist in namespace /);
  assert.equal((await lab.hawser(['rm', 'nothing'])).exitCode, 1);

  const id = (await lab.ok(['images', '-q', '--filter', 'name==docker.io/library/plain:latest'])).trim();
  assert.match(id, /^[0-9a-f]{12}$/);
  const full = (
    await lab.ok(['images', '-q', '--no-trunc', '--filter', 'name==docker.io/library/plain:latest'])
  ).trim();
  for (const reference of [id, id.slice(0, 6), full])
    assert.equal(await lab.ok(['run', '--rm', reference, 'echo', 'by id']), 'by id', reference);
  assert.match(
    (await lab.hawser(['run', '--rm', '--pull', 'never', 'abcdef012345', 'true'])).stderr,
    /^hawser: image abcdef012345 is not there: /,
  );
  await lab.ok([
    'images',
    'import',
    '--name',
    'second:1',
    await makeImage(lab.daemon.dir, lab.rootfs, 'x', ['/bin/sleep', '1000'], { Labels: { second: '1' } }),
  ]);
  const second = (await lab.ok(['images', '-q', '--filter', 'name==docker.io/library/second:1'])).trim();
  await lab.ok(['images', 'import', '--name', 'third:1', join(lab.daemon.dir, 'image.tar')]);
  assert.match(
    (await lab.hawser(['images', 'rm', second])).stderr,
    /^hawser: image \w+ cannot be removed: it has the names docker\.io\/library\/second:1, docker\.io\/library\/third:1: remove one of them, or all of them with -f$/,
  );
  await lab.ok(['images', 'rm', 'third:1']);
  await lab.ok(['images', 'rm', second]);
  assert.equal((await lab.hawser(['images', 'rm', second])).exitCode, 1);
});
