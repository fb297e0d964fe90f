/**
 * What hawser makes of a command line and an image, beside what docker makes of the same: both on one hawserd.
 * Begins first: it takes more than a minute.
 */
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

test('ps -s and inspect -s: what a container takes, by itself and with its image', async (t) => {
  await image('plain', {});
  const script = 'busybox dd if=/dev/zero of=/large bs=1024 count=1024 2>&1 | busybox true';
  const args = ['run', '--name', 'sized', '--network', 'none', 'plain', 'sh', '-c', script];
  await same(args);
  t.after(() => both(['rm', '-f', 'sized']));
  const text = await both(['ps', '-a', '--filter', 'name=sized', '--format', '{{.Size}}']);
  for (const [said] of Object.values(text)) assert.match(said, /^1\.0[56]MB \(virtual \d\.\d+MB\)$/);
  for (const args of [
    ['ps', '-a'],
    ['ps', '-as'],
  ]) {
    const { docker, hawser } = await both([...args, '--filter', 'name=sized']);
    const columns = [docker, hawser].map(([said]) => said.split('\n')[0]!.split(/ {2,}/));
    assert.deepEqual(columns[1], columns[0], args.join(' '));
  }
  const looked = await both(['inspect', '-s', 'sized']);
  const [docker, hawser] = [looked.docker, looked.hawser].map(
    ([said]) => (JSON.parse(said) as { SizeRw: number; SizeRootFs: number }[])[0]!,
  );
  // Docker counts bytes of files, and a snapshotter blocks, directories among them.
  assert.ok(docker!.SizeRw >= 1 << 20 && hawser!.SizeRw - docker!.SizeRw < 65_536, JSON.stringify([docker, hawser]));
  assert.ok(hawser!.SizeRw >= 1 << 20 && hawser!.SizeRootFs - hawser!.SizeRw > 1 << 20, JSON.stringify(hawser));
  const plainly = JSON.parse(await lab.ok(['inspect', 'sized'])) as object[];
  assert.ok(!('SizeRw' in plainly[0]!));
  // Of a directory as root file system nobody has counted anything.
  await lab.ok(['create', '--name', 'bare', '--rootfs', lab.rootfs, 'true']);
  t.after(() => lab.ok(['rm', 'bare']));
  assert.equal(await lab.ok(['ps', '-as', '--filter', 'name=bare', '--format', '{{.Size}}']), '0B');
});

test("run -a: some of its streams are this command's, and its log has them all", async (t) => {
  await image('plain', {});
  t.after(() => lab.removeAll());
  const script = 'echo out; echo err >&2; cat; exit 3';
  const cases = [
    [['-a', 'stdout'], 'out', ''],
    [['-a', 'stderr'], '', 'err'],
    [['-a', 'stdout', '-a=STDERR'], 'out', 'err'],
    [['-i', '-a', 'stdin', '--attach', 'stdout'], 'out\ntyped', '', 'out\ntyped'],
    [['-i', '-a', 'stdin', '--attach', 'stderr'], '', 'err', 'out\ntyped'],
    // Who sees nothing of it is told which one it is.
    [['-a', 'stdin'], undefined, ''],
    [['-i', '-a', 'stdin'], undefined, '', 'out\ntyped'],
  ] as const;
  for (const [i, [flags, out, err, log = 'out']] of cases.entries()) {
    const name = `streams${i}`;
    const args = ['run', '--name', name, '--network', 'none', ...flags, 'plain', 'sh', '-c', script];
    const input = flags[0] === '-i' ? { input: 'typed' } : {};
    const [docker, hawser] = await Promise.all([
      dockerd.docker(args, { reject: false, ...input }),
      lab.hawser(args, input),
    ]);
    t.after(() => dockerd.docker(['rm', '-f', name]));
    assert.deepEqual([hawser.stdout, hawser.stderr, hawser.exitCode], [out ?? name, err, 3], flags.join(' '));
    if (out === undefined) {
      // docker does not stay to the end.
      assert.match(docker.stdout, /^[0-9a-f]{64}$/);
      await dockerd.docker(['wait', name]);
    } else assert.deepEqual([docker.stdout, docker.stderr, docker.exitCode], [out, err, 3], flags.join(' '));
    for (const logs of [await dockerd.docker(['logs', name]), await lab.hawser(['logs', name])])
      assert.deepEqual([logs.stdout, logs.stderr], [log, 'err'], `the log of ${flags.join(' ')}`);
  }
  // What is kept nowhere is shown all the same.
  for (const flags of [[], ['-a', 'stdout']]) {
    const unkept = ['run', '--rm', '--network', 'none', '--log-driver', 'none', ...flags];
    const { docker, hawser } = await both([...unkept, 'plain', 'sh', '-c', script]);
    assert.deepEqual(
      [docker, hawser],
      [
        ['out', 3],
        ['out', 3],
      ],
    );
  }
  // The shim's log tells them apart as well.
  const shims = ['run', '--name', 'shims', '-i', '-a', 'stderr', '-a', 'stdin', '--log-driver', 'file'];
  const shown = await lab.hawser([...shims, 'plain', 'sh', '-c', script], { input: 'typed' });
  assert.deepEqual([shown.stdout, shown.stderr, shown.exitCode], ['', 'err', 3]);
  assert.equal(await lab.ok(['logs', 'shims']), 'out\ntyped');
  for (const [flags, says] of [
    [['-a', 'both'], /^hawser: --attach "both": there are stdin, stdout, stderr/],
    [['-d', '-a', 'stdout'], /^hawser: --attach and --detach: /],
    [
      ['-a', 'stdout', '--log-driver', 'file:/tmp/hawser-no.log'],
      /^hawser: --attach: its log has both outputs as one: name stdout and stderr, or .* format=cri/,
    ],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(['run', '--rm', ...flags, 'plain', 'true']);
    assert.equal(exitCode, 125);
    assert.match(stderr, says);
  }
  // What create is told of streams holds for nobody who starts it.
  type Program = (args: string[]) => Promise<{ stdout: string; stderr: string; exitCode?: number | undefined }>;
  const lifeOf = async (run: Program): Promise<unknown[]> => {
    const script = 'echo out; echo err >&2; exit 3';
    await run(['create', '-a', 'stdout', '--network', 'none', '--name', 'made', 'plain', 'sh', '-c', script]);
    const results = [await run(['start', '-a', 'made']), await run(['logs', 'made'])];
    await run(['rm', 'made']);
    return results.map(({ stdout, stderr, exitCode }) => [stdout, stderr, exitCode]);
  };
  const theirs = await lifeOf((args) => dockerd.docker(args, { reject: false }));
  const ours = await lifeOf((args) => lab.hawser(args));
  assert.deepEqual(ours, theirs);
  assert.deepEqual(ours, [
    ['out', 'err', 3],
    ['out', 'err', 0],
  ]);
});

test('image prune --filter, system df -v', async (t) => {
  await image('plain', {});
  await image('other', { Labels: { tier: 'web' } });
  t.after(() => lab.removeAll());
  const id = await lab.ok(['create', '-v', 'kept:/data', 'plain']);
  const whole = JSON.parse(await lab.ok(['system', 'df', '-v', '--format', 'json'])) as Record<
    'Images' | 'Containers' | 'Volumes',
    Record<string, string>[]
  >;
  const [first] = whole.Images.filter(({ Repository }) => Repository === 'plain');
  assert.equal(first!.Containers, '1');
  // They have a layer in common, and a configuration each.
  assert.match(`${first!.SharedSize} ${first!.UniqueSize}`, /^[\d.]+MB [\d.]+k?B$/);
  assert.deepEqual(
    whole.Containers.map(({ ID, LocalVolumes }) => [ID, LocalVolumes]),
    [[id.slice(0, 12), '1']],
  );
  assert.deepEqual(
    whole.Volumes.map(({ Name, Links }) => [Name, Links]),
    [['kept', '1']],
  );
  const titles = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => /space usage:|^[A-Z]+(?: [A-Z]+)? {2,}/.test(line))
      .map((line) => line.replace(/ {2,}/g, '  ').trim());
  const { docker, hawser } = await both(['system', 'df', '-v']);
  assert.deepEqual(titles(hawser[0]), titles(docker[0]).slice(0, 6));

  const left = async (): Promise<string[]> =>
    (await lab.ok(['images', '--format', '{{.Repository}}'])).split('\n').sort();
  const prune = (...filters: string[]): Promise<string> =>
    lab.ok(['image', 'prune', '-af', ...filters.flatMap((one) => ['--filter', one])]);
  const all = await left();
  assert.ok(all.includes('other'));
  await prune('until=876000h');
  await prune('label=tier=db');
  await prune('label=tier', 'label!=tier=web');
  assert.deepEqual(await left(), all);
  assert.match(await prune('label=tier=web'), /^docker\.io\/library\/other:latest\n/);
  assert.deepEqual(
    await left(),
    all.filter((name) => name !== 'other'),
  );
  const { stderr, exitCode } = await lab.hawser(['image', 'prune', '-f', '--filter', 'name=x']);
  assert.deepEqual([exitCode, stderr.includes('there are until=, label= and label!=')], [125, true], stderr);
});
