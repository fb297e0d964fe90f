/** Docker's habits of every day: forms of flags, groups of commands, restart policies, prune and df. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { until } from '../support/daemons.js';
import { Lab } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
  await lab.ok(['load', '-i', await lab.image()]);
});
after(() => lab.close());
afterEach(async () => {
  await lab.removeAll();
  await lab.ok(['volume', 'prune', '-af']);
});

async function inspected(name: string, template: string): Promise<string> {
  return lab.ok(['inspect', '-f', template, name]);
}

test('flags in the forms that pflag reads', async () => {
  const { stdout } = await lab.run(
    ['--rm=true', '-i=false', '--read-only=false', '--memory=64m', '-e=A=b', '-w=/tmp', '--init=false'],
    ['sh', '-c', 'echo $A; pwd; touch /tmp/x && echo written', '--rm=what', '-i=false'],
  );
  assert.equal(stdout, 'b\n/tmp\nwritten');
  assert.equal(await lab.ok(['ps', '-aq']), '');
  await lab.start('web', 'sleep 1000', ['-m=64m', '--label=a=b=c']);
  assert.equal(await inspected('web', '{{.HostConfig.Memory}} {{index .Config.Labels "a"}}'), '67108864 b=c');
  assert.match(await lab.ok(['ps', '--no-trunc=false', '-q=true']), /^web$/);
  assert.match(await lab.ok(['ps', '--no-trunc=true', '-q']), /^web$/);
  assert.equal(await lab.ok(['exec', 'web', 'echo', '-i=false', '--rm=true']), '-i=false --rm=true');
  const { stderr, exitCode } = await lab.hawser(['run', '--rm=maybe', 'x']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --rm=maybe: it is --rm, --rm=true or --rm=false\. /);
});

test("docker's groups", async () => {
  await lab.ok(['container', 'create', '--name', 'one', '--rootfs', lab.rootfs, 'sleep', '1000']);
  assert.equal(await lab.ok(['container', 'ls', '-aq']), 'one');
  await lab.ok(['container', 'start', 'one']);
  assert.equal(await lab.ok(['container', 'exec', 'one', 'echo', 'container', 'ls']), 'container ls');
  assert.match(await lab.ok(['container', 'inspect', '-f', '{{.State.Status}}', 'one']), /^running$/);
  assert.match(await lab.ok(['system', 'info', '-f', '{{.Containers}}']), /^1$/);
  assert.match(await lab.ok(['image', 'ls', '-q']), /^[0-9a-f]{12}$/);
  const { stderr, exitCode } = await lab.hawser(['container', 'nothing']);
  assert.deepEqual([exitCode !== 0, stderr.startsWith('hawser: ')], [true, true], stderr);
});

test('labels from a file, and how long stop waits', async () => {
  const file = join(lab.daemon.dir, 'labels');
  writeFileSync(file, '# a comment\none=1\n\n  two=2\n');
  await lab.start('patient', 'trap "" TERM; while :; do sleep 0.1; done', [
    '--label-file',
    file,
    '--label',
    'two=two',
    '--stop-timeout=0',
  ]);
  assert.equal(
    await inspected('patient', '{{index .Config.Labels "one"}} {{index .Config.Labels "two"}} {{.Config.StopTimeout}}'),
    '1 two 0',
  );
  assert.equal(await lab.ok(['ps', '--format', '{{.Labels}}']), 'one=1,two=two');
  await lab.ok(['stop', 'patient']);
  assert.equal(await inspected('patient', '{{.State.ExitCode}}'), '137');
  const { stderr } = await lab.hawser(['run', '--label-file', '/no/such', 'box']);
  assert.match(stderr, /^hawser: --label-file \/no\/such cannot be read: /);
});

test('--restart: started again until it is stopped', { timeout: 120_000 }, async () => {
  const script = 'echo x >>/runs/n; [ "$(wc -l </runs/n)" -gt 1 ] && exec sleep 1000; exit 1';
  await lab.start('again', script, ['--restart', 'always', '-v', 'runs:/runs']);
  const status = (): Promise<string> => inspected('again', '{{.State.Status}}');
  const runs = async (): Promise<number> =>
    Number(await lab.ok(['run', '--rm', '-v', 'runs:/r', '--rootfs', lab.rootfs, 'sh', '-c', 'wc -l </r/n']));
  await until('its second run', async () => (await runs()) === 2 && (await status()) === 'running', 60_000);
  assert.equal(
    await inspected('again', '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}'),
    'always 0',
  );
  await lab.ok(['stop', '-t', '0', 'again']);
  assert.equal(await inspected('again', '{{index .Config.Labels "containerd.io/restart.explicitly-stopped"}}'), 'true');
  await lab.ok(['start', 'again']);
  assert.equal(
    await inspected('again', '{{index .Config.Labels "containerd.io/restart.explicitly-stopped"}}'),
    'false',
  );
  await lab.ok(['update', '--restart', 'no', 'again']);
  assert.equal(await inspected('again', '{{.HostConfig.RestartPolicy.Name}}'), 'no');
  await lab.ok(['update', '--restart', 'on-failure:3', 'again']);
  assert.equal(
    await inspected('again', '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}'),
    'on-failure 3',
  );
  await lab.ok(['rm', '-f', 'again']);

  await lab.ok(['create', '--name', 'unstarted', '--restart', 'unless-stopped', '--rootfs', lab.rootfs, 'true']);
  assert.equal(await inspected('unstarted', '{{index .Config.Labels "containerd.io/restart.status"}}'), 'created');
  for (const [flags, says] of [
    [['--restart', 'sometimes'], /^hawser: --restart "sometimes": there are no, always, unless-stopped, on-failure/],
    [
      ['--restart', 'always', '--rm'],
      /^hawser: --rm and --restart: a container that is removed cannot be started again/,
    ],
  ] as const) {
    const { stderr, exitCode } = await lab.run(flags, ['true']);
    assert.equal(exitCode, 125);
    assert.match(stderr, says);
  }
});

test('--pid container:NAME', async () => {
  await lab.start('first', 'sleep 4321');
  await lab.start('second', 'sleep 1000', ['--pid', 'container:first']);
  assert.match(await lab.ok(['exec', 'second', 'ps']), /sleep 4321/);
  await lab.ok(['stop', '-t', '0', 'first', 'second']);
  const { stderr, exitCode } = await lab.hawser(['start', 'second']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /container second shares the processes of container first, which does not run/);
  // Its processes are others by now, and those are what is seen.
  await lab.ok(['start', 'first']);
  await lab.ok(['start', 'second']);
  assert.match(await lab.ok(['exec', 'second', 'ps']), /sleep 4321/);
});

test('inspect: of images and volumes, too', async () => {
  const [image] = JSON.parse(await lab.ok(['image', 'inspect', 'box'])) as Record<string, unknown>[];
  assert.match(String(image!.Id), /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(
    [
      image!.RepoTags,
      image!.Os,
      image!.Architecture,
      (image!.Config as { Cmd: string[] }).Cmd,
      (image!.RootFS as { Layers: string[] }).Layers.length,
    ],
    [['docker.io/library/box:latest'], 'linux', 'amd64', ['/bin/echo', 'from the image'], 1],
  );
  await lab.ok(['volume', 'create', 'box']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.Os}}', 'box']), 'linux');
  assert.equal(await lab.ok(['inspect', '--type', 'volume', '-f', '{{.Driver}} {{.Name}}', 'box']), 'local box');
  await lab.ok(['create', '--name', 'box', 'box']);
  assert.equal(await lab.ok(['inspect', '-f', '{{.State.Status}}', 'box']), 'created');
  assert.equal(await lab.ok(['inspect', '--type=image', '-f', '{{.Os}}', 'box']), 'linux');
  for (const [args, says] of [
    [['inspect', 'nobody'], /^hawser: container nobody does not exist/],
    [['inspect', '--type', 'image', 'nobody'], /nobody/],
    [['inspect', '--type', 'task', 'box'], /^hawser: --type "task": there are container, image, volume/],
    [['image', 'inspect', 'nobody'], /^hawser: image nobody is not there: /],
  ] as const) {
    const { stderr, exitCode } = await lab.hawser(args);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, says);
  }
});

test('system df, container prune, system prune', async () => {
  await lab.start('runs', 'sleep 1000');
  await lab.ok(['create', '--name', 'rests', '--label', 'keep=yes', '-v', '/anonymous', 'box']);
  await lab.ok(['create', '--name', 'goes', '--rootfs', lab.rootfs, 'true']);
  const rows = (await lab.ok(['system', 'df', '--format', '{{.Type}}: {{.TotalCount}} {{.Active}}'])).split('\n');
  assert.deepEqual(rows, ['Images: 1 1', 'Containers: 3 1', 'Local Volumes: 1 1']);
  assert.match(
    await lab.ok(['system', 'df']),
    /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +1 +1 +[\d.]+MB +0B \(0%\)$/m,
  );
  const { stderr, exitCode } = await lab.hawser(['container', 'prune']);
  assert.deepEqual([exitCode, stderr.includes('say -f when it is meant')], [125, true], stderr);
  assert.match(
    await lab.ok(['container', 'prune', '-f', '--filter', 'label!=keep']),
    /^Deleted Containers:\ngoes\n\nTotal reclaimed space: 0B$/,
  );
  assert.match(
    await lab.ok(['system', 'prune', '-f', '--volumes']),
    /^Deleted Containers:\nrests\n\nDeleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: /,
  );
  assert.equal(await lab.ok(['ps', '-aq']), 'runs');
  assert.match(await lab.ok(['images', '-q']), /^[0-9a-f]{12}$/);
});
