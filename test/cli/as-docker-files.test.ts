/**
 * Files of containers, beside what docker makes of the same: both on one hawserd.
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Dockerd, makeImage } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
let dockerd: Dockerd;

before(async () => {
  lab = await Lab.open();
  mkdirSync(join(lab.rootfs, 'srv/data'), { recursive: true });
  for (const name of ['one', 'two']) writeFileSync(join(lab.rootfs, 'srv/data', name), `${name}\n`);
  const archive = await makeImage(lab.daemon.dir, lab.rootfs, 'docker.io/library/plain:latest', ['/bin/sleep', '1000']);
  dockerd = await new Dockerd(lab.daemon).start();
  await lab.ok(['load', '-i', archive]);
  await dockerd.docker(['load', '-i', archive]);
});

after(async () => {
  await dockerd.cleanUp();
  await lab.close();
});

async function both(args: string[]): Promise<void> {
  await dockerd.docker(args);
  await lab.ok(args);
}

function lines(text: string): string[] {
  return text.split('\n').filter(Boolean).sort();
}

/**
 * What an archive has, but for times, for what docker puts into each of its containers, and for directories that something is mounted on. In the
 * order of what is left.
 */
function listed(archive: string, { owners = true } = {}): string[] {
  const own = / (?:\.\/)?(?:\.dockerenv|dev\/\S*|proc\/|sys\/|etc\/(?:hostname|hosts|mtab|resolv\.conf))( |$)/;
  return lines(execFileSync('tar', ['--numeric-owner', '-tvf', archive], { encoding: 'utf8' }))
    .filter((line) => !own.test(line))
    .map((line) => line.replace(/ +\d{4}-\d\d-\d\d \d\d:\d\d /, ' '))
    .map((line) => (owners ? line : line.replace(/ \d+\/\d+ /, ' ')))
    .sort();
}

function scratch(): string {
  return mkdtempSync(join(lab.daemon.dir, 'files-'));
}

test('diff and export', async () => {
  const script =
    'mkdir -p /srv/new/dir; echo x >/srv/new/dir/file; ln /srv/new/dir/file /srv/same; rm /srv/data/one; echo y >>/srv/data/two; ' +
    'rm -r /root; echo z >/root; chmod 700 /etc';
  await both(['run', '--name', 'changer', 'plain', 'sh', '-c', script]);
  const [docker, hawser] = [await dockerd.docker(['diff', 'changer']), await lab.ok(['diff', 'changer'])];
  assert.deepEqual(lines(hawser), lines(docker.stdout));
  assert.equal(hawser.split('\n')[0], 'C /etc');
  const dir = scratch();
  await dockerd.docker(['export', '-o', join(dir, 'docker.tar'), 'changer']);
  await lab.ok(['container', 'export', '--output', join(dir, 'hawser.tar'), 'changer']);
  assert.deepEqual(listed(join(dir, 'hawser.tar')), listed(join(dir, 'docker.tar')));
  const { stdout } = await lab.hawser(['export', 'changer'], { encoding: 'buffer' });
  writeFileSync(join(dir, 'stdout.tar'), stdout);
  assert.deepEqual(listed(join(dir, 'stdout.tar')), listed(join(dir, 'docker.tar')));
  await both(['rm', 'changer']);
});

/** What is copied, from where to where: `cc:` is the container. */
const COPIES = [
  ['h/d', 'cc:/n1'],
  ['h/d/.', 'cc:/n2'],
  ['h/d/', 'cc:/n3'],
  ['h/d', 'cc:/tmp'],
  ['h/d/.', 'cc:tmp/'],
  ['h/d/f', 'cc:/tmp/'],
  ['h/d/f', 'cc:/tmp/new'],
  ['h/d/f', 'cc:/tmp/none/'],
  ['h/d/f', 'cc:/none/x'],
  ['h/d', 'cc:/etc/passwd'],
  ['h/d/f', 'cc:/tmp/d'],
  ['h/d/f', 'cc:/tmp/d/sub'],
  ['h/d/sub', 'cc:/tmp/new'],
  ['h/l', 'cc:/tmp/'],
  ['h/dang', 'cc:/tmp'],
  ['h/none', 'cc:/tmp'],
  ['h/d/f/', 'cc:/tmp/slash'],
  ['h/d/f', 'cc:/vol/'],
  ['h/d', 'cc:/vol/deep'],
  ['h/d/f', 'cc:/ro/'],
  ['h/d/f', 'cc:/bin/ash'],
  ['h/d/f', 'cc:/tolink'],
  ['h/d/f', 'cc:/todir'],
  ['h/d/f', 'cc:/dangling'],
  ['h/d', 'cc:/todir/../d2'],
  ['-L', 'h/l', 'cc:/tmp/LL'],
  ['--follow-link', 'h/l', 'cc:/srv/data'],
  ['-a', 'h/d', 'cc:/tmp/AA'],
  ['--archive', 'h/d/f', 'cc:/tmp/A'],
  ['cc:/n1', 'out/n1'],
  ['cc:/n1/.', 'out/n1'],
  ['cc:/n1', 'out/n1'],
  ['cc:/n1/', 'out'],
  ['cc:/srv/data/.', 'out/made'],
  ['cc:/etc/group', 'out'],
  ['cc:/etc/group', 'out/group'],
  ['cc:/etc/group', 'out/none/'],
  ['cc:/etc/group', 'out/none/x'],
  ['cc:/etc', 'out/group'],
  ['cc:/etc/group', 'out/n1/sub'],
  ['cc:/etc/group/', 'out/slash'],
  ['cc:/none', 'out'],
  ['cc:/tolink', 'out/link'],
  ['-L', 'cc:/tolink', 'out/followed'],
  ['-L', 'cc:/todir', 'out'],
  ['cc:/todir', 'out/todir'],
  ['cc:/todir/', 'out/todir2'],
  ['cc:/todir/one', 'out'],
  ['cc:/vol', 'out'],
  ['cc:/ro/d/f', 'out/from-ro'],
  ['-', 'cc:/etc/group'],
  ['-', 'cc:/none'],
  ['cc:/etc', 'cc:/tmp'],
  ['h/d', 'out'],
] as const;

for (const state of ['created', 'running', 'ended'])
  test(`cp: a container that is ${state}`, async (t) => {
    t.after(() => both(['rm', '-f', 'cc']));
    const places = [dockerd, lab].map((who) => ({ who, dir: scratch() }));
    for (const { who, dir } of places) {
      const make =
        'mkdir -p h/d/sub out; echo 1 >h/d/f; echo 22 >h/d/sub/g; ln h/d/f h/d/same; chmod 640 h/d/f; ln -s d h/l; ln -s nowhere h/dang; ' +
        'touch -d 2001-02-03 h/d/f h/d/sub; chown -R 1234:1235 h; chmod 4755 h/d/sub/g; mkdir -p tar/x; echo t >tar/x/t; tar -C tar -cf in.tar x';
      execFileSync('sh', ['-c', make], { cwd: dir });
      const run = async (args: string[]): Promise<string> =>
        who === lab ? lab.ok(args) : (await dockerd.docker(args)).stdout;
      const flags = ['--name', 'cc', '-v', `vol-${state}:/vol`, '-v', `${dir}/h:/ro:ro`, '--user', 'nobody'];
      await run([
        state === 'created' ? 'create' : 'run',
        ...(state === 'running' ? ['-d'] : []),
        ...flags,
        'plain',
        ...(state === 'running' ? ['sleep', '1000'] : ['true']),
      ]);
      execFileSync(
        'sh',
        ['-c', 'mkdir links; ln -s /etc/group links/tolink; ln -s srv/data links/todir; ln -s /made links/dangling'],
        { cwd: dir },
      );
      await run(['cp', `${dir}/links/.`, 'cc:/']);
    }
    // Those of one that has ended go the way of those of one that was created.
    for (const args of COPIES.filter((_, n) => state !== 'ended' || n % 5 === 0)) {
      const [docker, hawser] = await Promise.all(
        places.map(async ({ who, dir }) => {
          const options = { cwd: dir, input: execFileSync('cat', [join(dir, 'in.tar')]), reject: false };
          return who === lab ? lab.hawser(['cp', ...args], options) : dockerd.docker(['cp', ...args], options);
        }),
      );
      // Wrong usage is 125 here, as of docker's run.
      const fails = ({ exitCode }: { readonly exitCode?: number | undefined } = {}): boolean => exitCode !== 0;
      assert.equal(fails(hawser), fails(docker), `cp ${args.join(' ')}: ${hawser?.stderr}, docker: ${docker?.stderr}`);
      if (fails(hawser)) assert.match(hawser?.stderr ?? '', /^hawser: (cp|container cc): [^\n]*$/);
      else assert.match(hawser?.stderr ?? '', /^Successfully copied [\d.]+k?B to /);
    }
    const [docker, hawser] = places.map(({ who, dir }) => {
      const archive = (what: string): Promise<string> => archived(who, dir, what);
      return { archive, out: () => execFileSync('tar', ['-C', dir, '-cf', join(dir, 'out.tar'), 'out']), dir };
    });
    const more = state === 'ended' ? [] : ['/tmp/../tmp/d/', '/vol/deep'];
    for (const what of ['/.', 'tmp', '/tmp/.', '/todir', '/todir/.', '/bin/ash', ...more])
      assert.deepEqual(listed(await hawser!.archive(what)), listed(await docker!.archive(what)), what);
    for (const one of [docker!, hawser!]) one.out();
    assert.deepEqual(listed(join(hawser!.dir, 'out.tar')), listed(join(docker!.dir, 'out.tar')));
    for (const { who, dir } of places) {
      const args = ['cp', '-', 'cc:/srv/data'];
      const options = { input: execFileSync('cat', [join(dir, 'in.tar')]) };
      await (who === lab ? lab.ok(args, options) : dockerd.docker(args, options));
    }
    assert.deepEqual(listed(await hawser!.archive('/srv')), listed(await docker!.archive('/srv')));
  });

/** What `cp c:WHAT -` writes, in a file. */
async function archived(who: Dockerd | Lab, dir: string, what: string): Promise<string> {
  const options = { encoding: 'buffer' as const };
  const args = ['cp', `cc:${what}`, '-'];
  const { stdout } = await (who === lab ? lab.hawser(args, options) : (who as Dockerd).docker(args, options));
  const file = join(dir, 'archive.tar');
  writeFileSync(file, stdout);
  return file;
}

const CHANGES = [
  'ENV GREETING="hello  you" PATH=/opt:$PATH',
  'ENV OLD some text',
  'LABEL a=b "c d"=\'e $PATH\'',
  'EXPOSE 80 90-91/udp',
  'VOLUME /one /two',
  'VOLUME ["/three"]',
  'WORKDIR sub',
  'ONBUILD RUN true',
  'USER 12:34',
];

/** The same of both images' configurations. */
async function sameConfig(name: string): Promise<void> {
  for (const field of ['Env', 'Cmd', 'Entrypoint', 'WorkingDir', 'User', 'ExposedPorts', 'Volumes']) {
    const args = ['image', 'inspect', '-f', `{{json .Config.${field}}}`, name];
    const [hawser, docker] = [await lab.ok(args), (await dockerd.docker(args)).stdout].map(
      (text) => JSON.parse(text) as unknown,
    );
    // In whatever order.
    const ordered = (value: unknown): unknown =>
      field === 'Env' ? [...((value as string[] | null) ?? [])].sort() : value;
    assert.deepEqual(ordered(hawser), ordered(docker), `${name} ${field}`);
  }
  const labels = ['image', 'inspect', '-f', '{{json .Config.Labels}}', name];
  assert.deepEqual(JSON.parse(await lab.ok(labels)) ?? {}, JSON.parse((await dockerd.docker(labels)).stdout) ?? {});
}

test('commit', async () => {
  const run = ['run', '-e', 'A=1', '-w', '/srv', '--label', 'app=web'];
  await both([...run, '--name', 'first', 'plain', 'sh', '-c', 'echo made >/srv/made; rm /srv/data/one']);
  await both([...run, '--name', 'second', '-u', '7:8', 'plain', 'echo', 'one', 'two']);
  await both(['commit', 'first', 'made:1']);
  await sameConfig('made:1');
  const changes = [...CHANGES, 'ENTRYPOINT ["cat"]', 'cmd /srv/made'].flatMap((one) => ['--change', one]);
  await both(['container', 'commit', '-a', 'me', '-m', 'text', '--pause=false', ...changes, 'first', 'made:2']);
  await sameConfig('made:2');
  await both(['commit', 'second', 'made:3']);
  await sameConfig('made:3');
  await both(['commit', '-c', 'ENTRYPOINT ["ls", "/srv/data"]', '-c', 'WORKDIR /', 'first', 'made:4']);
  for (const args of [
    ['run', '--rm', 'made:4'],
    ['run', '--rm', 'made:1', 'cat', '/srv/made'],
  ])
    assert.equal(await lab.ok(args), (await dockerd.docker(args)).stdout);
  const history = ['history', '--format', '{{.CreatedBy}}|{{.Comment}}', 'made:2'];
  assert.equal((await lab.ok(history)).split('\n')[0], (await dockerd.docker(history)).stdout.split('\n')[0]);
  await both(['rm', 'first', 'second']);
  await lab.ok(['rmi', ...[1, 2, 3, 4].map((n) => `made:${n}`)]);
});

test('import', async () => {
  const dir = scratch();
  const file = join(dir, 'root.tar.gz');
  execFileSync('tar', ['-C', lab.rootfs, '-czf', file, '.']);
  await both(['import', '-c', 'CMD ["echo", "hello"]', '-m', 'a text', file, 'rooted:1']);
  await sameConfig('rooted:1');
  for (const args of [
    ['run', '--rm', 'rooted:1'],
    ['run', '--rm', 'rooted:1', 'cat', '/srv/data/two'],
    ['history', '--format', '{{.Comment}}', 'rooted:1'],
  ])
    assert.equal(await lab.ok(args), (await dockerd.docker(args)).stdout);
  await lab.ok(['rmi', 'rooted:1']);
});
