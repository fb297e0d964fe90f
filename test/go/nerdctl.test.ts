/** nerdctl and hawser on one hawserd: either sees containers, names, networks and volumes of the other's, and neither is in the way of the other. */
import assert from 'node:assert/strict';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { execa } from 'execa';
import { Lab } from '../cli/lab.js';
import { patiently } from '../support/eventually.js';
import { nerdctlProgram, withoutGo } from '../support/go-programs.js';
import { NetworkHost } from '../support/network-host.js';

/** The plugin host-local's, which leaves something of each network. */
const ADDRESSES = '/var/lib/cni/networks';
const COMMAND_MS = patiently(60_000);

interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode?: number | undefined;
}

suite('nerdctl and hawser on hawserd', { skip: withoutGo }, () => {
  let host: NetworkHost;
  let lab: Lab;
  let program: string;
  /** Its addresses are kept in one directory for all of the machine. */
  let theirNetwork: string;

  before(async () => {
    program = nerdctlProgram();
    host = await NetworkHost.open();
    lab = await Lab.openInside(host);
    for (const applet of ['ip', 'wget', 'httpd']) symlinkSync('busybox', join(lab.rootfs, 'bin', applet));
    theirNetwork = `lab-${lab.daemon.namespace}`;
    await lab.ok(['images', 'import', await lab.image()]);
  });
  after(async () => {
    await lab?.close();
    rmSync(join(ADDRESSES, theirNetwork), { recursive: true, force: true });
    host?.close();
  });

  const run = async (...args: string[]): Promise<Result> => {
    const { dir, socket, namespace } = lab.daemon;
    const places = ['--data-root', join(dir, 'cli/nerdctl'), '--cni-netconfpath', join(dir, 'cni')];
    const [file = '', ...prefix] = [...host.prefix, program, '-a', socket, '-n', namespace, ...places];
    const plugins = ['--cni-path', '/usr/lib/cni', '--cgroup-manager', 'cgroupfs'];
    return execa(file, [...prefix, ...plugins, ...args], {
      stdin: 'ignore',
      reject: false,
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      extendEnv: false,
      env: { PATH: lab.env.PATH, HOME: dir },
    });
  };
  const nerdctl = async (...args: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await run(...args);
    assert.equal(exitCode, 0, `nerdctl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const hawser = (...args: string[]): Promise<string> => lab.ok(args);
  const refused = async (result: Promise<Result>, why: RegExp): Promise<void> => {
    const { stdout, stderr, exitCode } = await result;
    assert.notEqual(exitCode, 0, stdout);
    assert.match(stderr, why);
  };
  const sorted = (text: string): string[] => text.split('\n').filter(Boolean).sort();
  const sleep = ['box', 'sleep', '1000'];

  test('names, host names and labels of containers; what one has made the other uses and removes', async () => {
    await hawser('run', '-d', '--name', 'ours', '-h', 'our-host', '-l', 'app=web', ...sleep);
    await nerdctl('run', '-d', '--name', 'theirs', '-h', 'their-host', '-l', 'app=api', ...sleep);
    for (const ps of [nerdctl, hawser])
      assert.deepEqual(sorted(await ps('ps', '--format', '{{.Names}} {{.Image}}')), [
        'ours docker.io/library/box:latest',
        'theirs docker.io/library/box:latest',
      ]);
    for (const [inspect, of] of [
      [nerdctl, 'ours our-host web'],
      [hawser, 'theirs their-host api'],
    ] as const) {
      const [name = ''] = of.split(' ');
      const format = '{{.Name}} {{.Config.Hostname}} {{.Config.Labels.app}}';
      assert.equal(await inspect('inspect', '-f', format, name), of);
    }
    assert.equal(await nerdctl('exec', 'ours', 'hostname'), 'our-host');
    assert.equal(await hawser('exec', 'theirs', 'hostname'), 'their-host');

    await refused(
      lab.hawser(['create', '--name', 'theirs', ...sleep]),
      /container [\da-f]{12} is called so; remove it/,
    );
    await hawser('rename', 'ours', 'changed');
    assert.deepEqual(sorted(await nerdctl('ps', '--format', '{{.Names}}')), ['changed', 'theirs']);
    await hawser('rename', 'changed', 'ours');

    await nerdctl('stop', '-t', '1', 'ours');
    assert.match(await hawser('ps', '-a', '--format', '{{.Names}} {{.Status}}'), /^ours Exited/m);
    await nerdctl('start', 'ours');
    assert.match(await hawser('exec', 'ours', 'ip', '-4', '-o', 'addr'), /10\.67\.0\.\d+/, 'its network is ours again');
    await hawser('stop', '-t', '1', 'theirs');
    assert.match(await nerdctl('ps', '-a', '--format', '{{.Names}} {{.Status}}'), /^theirs Exited/m);
    await hawser('start', 'theirs');
    await nerdctl('rm', '-f', 'ours');
    await hawser('rm', '-f', 'theirs');
    for (const ps of [nerdctl, hawser]) assert.equal(await ps('ps', '-aq'), '');
    // Its name is free for either.
    await nerdctl('run', '--rm', '--name', 'ours', 'box', 'true');
    await hawser('run', '--rm', '--name', 'theirs', 'box', 'true');
  });

  test('networks: seen and used by both, and not removed while a container of the other is in it', async () => {
    await nerdctl('network', 'create', '--label', 'tier=db', theirNetwork);
    await hawser('network', 'create', '--label', 'tier=web', 'mine');
    const names = (text: string): string[] => sorted(text).filter((name) => [theirNetwork, 'mine'].includes(name));
    for (const ls of [nerdctl, hawser])
      assert.deepEqual(names(await ls('network', 'ls', '--format', '{{.Name}}')), [theirNetwork, 'mine']);
    assert.equal(await hawser('network', 'inspect', '-f', '{{.Labels.tier}}', theirNetwork), 'db');

    await hawser('run', '-d', '--name', 'ours', '--net', theirNetwork, ...sleep);
    await nerdctl('run', '-d', '--name', 'theirs', '--net', 'mine', ...sleep);
    await refused(run('network', 'rm', theirNetwork), /is in use by container \[\\"ours\\"\]/);
    await refused(lab.hawser(['network', 'rm', 'mine']), /network mine is used by container theirs of namespace /);
    assert.equal(await hawser('network', 'prune', '-f'), '');
    const members = JSON.parse(await hawser('network', 'inspect', 'mine')) as { Containers: object }[];
    assert.deepEqual(
      Object.values(members[0]!.Containers).map((one: { Name: string }) => one.Name),
      ['theirs'],
    );
    // They have an address each, of one subnet.
    await nerdctl('run', '-d', '--name', 'more', '--net', theirNetwork, ...sleep);
    const address = async (exec: typeof hawser, name: string): Promise<string | undefined> =>
      /inet (10\.\d+\.\d+)\.\d+\/24.* eth0/.exec(
        await exec('exec', name, 'ip', '-4', '-o', 'addr', 'show', 'eth0'),
      )?.[1];
    assert.equal(await address(nerdctl, 'ours'), await address(hawser, 'more'));

    await nerdctl('rm', '-f', 'ours', 'more');
    await hawser('rm', '-f', 'theirs');
    await nerdctl('network', 'rm', theirNetwork);
    await hawser('network', 'rm', 'mine');
    assert.deepEqual(names(await hawser('network', 'ls', '--format', '{{.Name}}')), []);
    assert.deepEqual(await host.traces(lab.daemon.namespace), []);
  });

  test('ports and addresses of containers that nerdctl has made', async () => {
    await nerdctl('network', 'create', theirNetwork);
    const ports = ['-p', '127.0.0.1:8097:97/udp', '-p', '8096:96'];
    await nerdctl('run', '-d', '--name', 'theirs', ...ports, '--net', theirNetwork, ...sleep);
    const shown = async (ps: typeof hawser): Promise<string[]> =>
      (await ps('ps', '--format', '{{.Ports}}')).split(', ').sort();
    assert.deepEqual(await shown(hawser), ['0.0.0.0:8096->96/tcp', '127.0.0.1:8097->97/udp']);
    assert.deepEqual(await shown(hawser), await shown(nerdctl));
    assert.deepEqual(sorted(await hawser('port', 'theirs')), sorted(await nerdctl('port', 'theirs')));
    assert.equal(await hawser('port', 'theirs', '97/udp'), '127.0.0.1:8097');
    const format = '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}}';
    const address = await hawser('inspect', '-f', format, 'theirs');
    assert.match(address, /^10\.\d+\.\d+\.\d+ ([\da-f]{2}:?){6}$/);
    assert.equal(address, await nerdctl('inspect', '-f', format, 'theirs'));
    assert.equal(await hawser('ps', '--format', '{{.Networks}}'), theirNetwork);
    const [network] = JSON.parse(await hawser('network', 'inspect', theirNetwork)) as { Containers: object }[];
    const [member] = Object.values(network!.Containers) as { IPv4Address: string }[];
    assert.equal(member!.IPv4Address.split('/')[0], address.split(' ')[0]);
    // When it has ended nothing is published, and nerdctl alone knows what is to be.
    await nerdctl('stop', '-t', '1', 'theirs');
    assert.equal(await hawser('ps', '-a', '--format', '{{.Ports}}'), '');
    assert.equal(await hawser('port', 'theirs'), '');
    assert.equal(await hawser('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'theirs'), '');
    await nerdctl('rm', 'theirs');
    await nerdctl('network', 'rm', theirNetwork);
  });

  test('volumes: used by both, and not removed while a container of the other has it', async () => {
    await hawser(
      'run',
      '-d',
      '--name',
      'ours',
      '-v',
      'from-ours:/data',
      'box',
      'sh',
      '-c',
      'echo from a >/data/a; sleep 1000',
    );
    await nerdctl(
      'run',
      '-d',
      '--name',
      'theirs',
      '-v',
      'from-theirs:/data',
      'box',
      'sh',
      '-c',
      'echo from b >/data/b; sleep 1000',
    );
    for (const ls of [nerdctl, hawser])
      assert.deepEqual(sorted(await ls('volume', 'ls', '-q')), ['from-ours', 'from-theirs']);
    await refused(run('volume', 'rm', 'from-ours'), /from-ours\S* is in use/);
    await refused(lab.hawser(['volume', 'rm', 'from-theirs']), /volume from-theirs is in use by container theirs:/);
    assert.equal(await nerdctl('run', '--rm', '-v', 'from-ours:/x', 'box', 'cat', '/x/a'), 'from a');
    assert.equal(await hawser('run', '--rm', '-v', 'from-theirs:/x', 'box', 'cat', '/x/b'), 'from b');
    await nerdctl('rm', '-f', 'ours');
    await hawser('rm', '-f', 'theirs');
    await nerdctl('volume', 'rm', 'from-ours');
    await hawser('volume', 'rm', 'from-theirs');
    for (const ls of [nerdctl, hawser]) assert.equal(await ls('volume', 'ls', '-q'), '');
  });
});
