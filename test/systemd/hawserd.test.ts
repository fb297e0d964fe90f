/** hawserd as a service, with cgroups by systemd as its runtime's default: the command line, ctr, and restarts with containers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.js';
import { BOX, journal, makeRoot, now, ok, processesOf, property, run, scopes, systemctl } from './system.js';

const SOCKET = '/run/hawser/hawserd.sock';
const EVENTS = '/run/events';
const CONFIG = '/etc/hawser/config.toml';
const hawser = (...args: string[]): string => ok('hawser', '--address', SOCKET, ...args);
/** Without a network, which takes programs of its own to be made. */
const PLAIN = ['--network', 'none', '--rootfs', BOX];
const sleeping = (name: string, ...flags: string[]): string =>
  hawser('run', '-d', '--name', name, ...PLAIN, ...flags, 'sleep', '100000');
const scope = (name: string): string => `hawser-default--${name}.scope`;
let begun = '';

before(() => {
  systemctl('stop', 'docker.socket', 'docker', 'containerd');
  makeRoot();
  mkdirSync('/etc/hawser', { recursive: true });
  writeFileSync(
    CONFIG,
    '[runtimes."io.containerd.runc.v2"]\nshim = "/usr/local/lib/hawser/bin/containerd-shim-runc-v2"\noptions = { SystemdCgroup = true }\n',
  );
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
    writeFileSync(
      CONFIG,
      `[runtimes."io.containerd.runc.v2"]\nshim = "/usr/local/lib/hawser/bin/containerd-shim-runc-v2"\noptions = { BinaryName = "/usr/bin/${runtime}", SystemdCgroup = true }\n`,
    );
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
