/** hawserd as a service, with cgroups by systemd as its runtime's default: the command line, ctr, docker.service, and restarts with containers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.js';
import {
  BOX,
  configureDocker,
  docker,
  IMAGE,
  journal,
  makeImage,
  makeRoot,
  nothingIsLeft,
  now,
  ok,
  processesOf,
  property,
  removeAll,
  run,
  scopes,
  shimOf,
  systemctl,
} from './system.js';

const SOCKET = '/run/hawser/hawserd.sock';
const EVENTS = '/run/events';
const CONFIG = '/etc/hawser/config.toml';
/** Which containerd docker.service has. */
const DOCKER_UNIT = '/etc/systemd/system/docker.service.d/hawserd.conf';
const hawser = (...args: string[]): string => ok('hawser', '--address', SOCKET, ...args);
/** Without a network, which takes programs of its own to be made. */
const PLAIN = ['--network', 'none', '--rootfs', BOX];
const sleeping = (name: string, ...flags: string[]): string =>
  hawser('run', '-d', '--name', name, ...PLAIN, ...flags, 'sleep', '100000');
const scope = (name: string): string => `hawser-default--${name}.scope`;
let begun = '';

/** @param options the default runtime's */
function configure(options: string): void {
  writeFileSync(
    CONFIG,
    `[runtimes."io.containerd.runc.v2"]\nshim = "/usr/local/lib/hawser/bin/containerd-shim-runc-v2"\noptions = { ${options} }\n`,
  );
}

before(() => {
  systemctl('stop', 'docker.socket', 'docker', 'containerd');
  makeRoot();
  mkdirSync('/etc/hawser', { recursive: true });
  configure('SystemdCgroup = true');
  systemctl('daemon-reload');
  begun = now();
  systemctl('start', 'hawserd');
});

after(() => {
  systemctl('stop', 'hawserd');
  rmSync(CONFIG);
});

test("the command line's containers are scopes in a slice of their own", () => {
  assert.equal(hawser('run', '--rm', '--name', 'one', '--rootfs', BOX, 'echo', 'hello'), 'hello');
  const id = sleeping('two', '--memory', '64m');
  assert.deepEqual(scopes(), [scope(id)]);
  assert.equal(property(scope(id), 'ControlGroup'), `/hawser.slice/${scope(id)}`);
  assert.equal(property(scope(id), 'MemoryMax'), String(64 << 20));
  hawser('rm', '-f', 'two');
});

test('--cgroup-parent is a slice; --cgroup-manager says otherwise', () => {
  const web = sleeping('web', '--cgroup-parent', 'web-front.slice');
  assert.equal(property(scope(web), 'ControlGroup'), `/web.slice/web-front.slice/${scope(web)}`);
  hawser('rm', '-f', 'web');
  const refused = run(['hawser', '--address', SOCKET, 'run', '--rm', ...PLAIN, '--cgroup-parent', 'mine', 'true']);
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /give the name of one, such as web\.slice/);
  const plain = sleeping('plain', '--cgroup-manager', 'cgroupfs', '--cgroup-parent', 'mine');
  assert.ok(existsSync(`/sys/fs/cgroup/mine/${plain}/cgroup.procs`));
  hawser('rm', '-f', 'plain');
  rmSync('/sys/fs/cgroup/mine', { recursive: true, force: true });
});

test('ctr, whose containers have paths, has them made by the runtime', () => {
  const ctr = (...args: string[]): string => ok('ctr', '-a', SOCKET, ...args);
  assert.equal(ctr('run', '--rm', '--rootfs', BOX, 'c1', '/bin/echo', 'hello'), 'hello');
  ctr('run', '-d', '--rootfs', BOX, 'c2', '/bin/sleep', '100000');
  assert.ok(existsSync('/sys/fs/cgroup/default/c2/cgroup.procs'));
  assert.match(ctr('tasks', 'ls'), /c2 +\d+ +RUNNING/);
  ctr('tasks', 'rm', '-f', 'c2');
  ctr('containers', 'rm', 'c2');
});

test('an OOM kill is told, by runc and by crun', async () => {
  for (const runtime of ['runc', 'crun']) {
    configure(`BinaryName = "/usr/bin/${runtime}", SystemdCgroup = true`);
    systemctl('restart', 'hawserd');
    const heard = openSync(EVENTS, 'w');
    const events = spawn('hawser', ['--address', SOCKET, 'events'], { stdio: ['ignore', heard, 'inherit'] });
    closeSync(heard);
    await eventually('events are heard', () => {
      hawser('run', '--rm', ...PLAIN, 'true');
      return statSync(EVENTS).size > 0;
    });
    const done = run([
      'hawser',
      '--address',
      SOCKET,
      'run',
      '--rm',
      '--memory',
      '24m',
      '--memory-swap',
      '24m',
      ...PLAIN,
      'dd',
      'if=/dev/zero',
      'of=/dev/null',
      'bs=200M',
      'count=1',
    ]);
    assert.equal(done.status, 137, done.stderr);
    await eventually('it is told', () => readFileSync(EVENTS, 'utf8').includes('oom'));
    events.kill();
    await once(events, 'exit');
  }
});

test('docker.service has it for its containerd: scopes, limits, exec, an OOM kill, and restarts of both with a container', async () => {
  configure('SystemdCgroup = true');
  systemctl('restart', 'hawserd');
  mkdirSync(dirname(DOCKER_UNIT), { recursive: true });
  writeFileSync(
    DOCKER_UNIT,
    `[Unit]\nAfter=hawserd.service\n[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=${SOCKET}\n`,
  );
  configureDocker({ 'live-restore': true });
  systemctl('daemon-reload');
  systemctl('start', 'docker.socket', 'docker');
  const since = now();
  const plain = ['--network', 'none', IMAGE];
  try {
    makeImage();
    assert.equal(docker('run', '--rm', ...plain, 'echo', 'hello'), 'hello');
    const id = docker('run', '-d', '--name', 'stays', '--memory', '64m', ...plain, 'sleep', '100000');
    assert.deepEqual(scopes(), [`docker-${id}.scope`]);
    assert.equal(property(`docker-${id}.scope`, 'MemoryMax'), String(64 << 20));
    assert.equal(shimOf(id), 'hawser');
    // Both see it.
    assert.equal(ok('hawser', '--address', SOCKET, '--namespace', 'moby', 'ps', '-q'), id.slice(0, 12));
    docker('update', '--memory', '96m', '--memory-swap', '96m', 'stays');
    assert.equal(property(`docker-${id}.scope`, 'MemoryMax'), String(96 << 20));
    assert.match(docker('top', 'stays'), /sleep 100000/);
    assert.match(docker('stats', '--no-stream', 'stays'), /96MiB/);

    const hungry = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'];
    const done = run([
      'docker',
      'run',
      '--name',
      'hungry',
      '--memory',
      '24m',
      '--memory-swap',
      '24m',
      ...plain,
      ...hungry,
    ]);
    assert.equal(done.status, 137, done.stderr);
    assert.equal(docker('inspect', '-f', '{{.State.OOMKilled}}', 'hungry'), 'true');

    systemctl('restart', 'hawserd');
    await eventually('docker has found it', () => run(['docker', 'exec', 'stays', 'true']).status === 0);
    assert.equal(docker('run', '--rm', ...plain, 'echo', 'again'), 'again');
    systemctl('restart', 'docker');
    assert.equal(docker('exec', 'stays', 'echo', 'there'), 'there');
    docker('stop', '-t', '0', 'stays');
    assert.equal(docker('inspect', '-f', '{{.State.ExitCode}}', 'stays'), '137');
    removeAll();
    await nothingIsLeft();
  } finally {
    console.log(
      journal('docker', since)
        .filter((line) => /level=(warn|error)/.test(line))
        .map((line) => `# ${line}\n`)
        .join(''),
    );
    systemctl('stop', 'docker.socket', 'docker');
    rmSync(DOCKER_UNIT);
    systemctl('daemon-reload');
    configureDocker();
  }
});

test('hawserd restarts, and is killed, with a container: it goes on', async () => {
  const stays = sleeping('stays');
  const pid =
    /\d+/.exec(readFileSync(`/sys/fs/cgroup/hawser.slice/${scope(stays)}/cgroup.procs`, 'utf8'))?.[0] ??
    readFileSync(`/sys/fs/cgroup/hawser.slice/${scope(stays)}/container/cgroup.procs`, 'utf8').trim();
  systemctl('restart', 'hawserd');
  assert.equal(hawser('exec', 'stays', 'echo', 'there'), 'there');
  systemctl('kill', '-s', 'KILL', '--kill-whom=main', 'hawserd');
  await eventually(
    'it is there again',
    () => run(['hawser', '--address', SOCKET, 'exec', 'stays', 'true']).status === 0,
  );
  assert.ok(existsSync(`/proc/${pid}`));
  const ends = hawser('run', '-d', '--name', 'ends', ...PLAIN, 'sh', '-c', 'sleep 2; exit 5');
  systemctl('stop', 'hawserd');
  await eventually('it has ended', () => !scopes().includes(scope(ends)));
  systemctl('start', 'hawserd');
  await eventually('its exit is known', () => /ends.*Exited \(5\)|Exited \(5\).*ends/.test(hawser('ps', '-a')));
  hawser('rm', '-f', 'stays', 'ends');
});

test('it stops without a process left, and the journal has no complaint', async () => {
  const since = now();
  hawser('run', '--rm', ...PLAIN, 'true');
  systemctl('stop', 'hawserd');
  await eventually('the service is empty', () => processesOf('hawserd').length === 0);
  assert.deepEqual(scopes(), []);
  assert.deepEqual(
    journal('hawserd', since).filter((line) => /remains running|[Ll]eft-over/.test(line)),
    [],
  );
  const complaints = journal('hawserd', begun).filter((line) =>
    /"level":"?(warn|error|40|50)|level=(warn|error)/.test(line),
  );
  console.log(complaints.map((line) => `# ${line}\n`).join(''));
});
