/** docker on its defaults: services of systemd, its cgroup driver, cgroup v2. Each with containerd's own shim, too. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.js';
import {
  docker,
  IMAGE,
  nothingIsLeft,
  ok,
  property,
  removeAll,
  run,
  scopes,
  shimOf,
  SHIMS,
  systemctl,
  useShim,
} from './system.js';

const scope = (id: string): string => `docker-${id}.scope`;
const file = (id: string, name: string, slice = 'system.slice'): string =>
  readFileSync(`/sys/fs/cgroup/${slice}/${scope(id)}/${name}`, 'utf8').trim();
const sleeping = (...flags: string[]): string => docker('run', '-d', ...flags, IMAGE, 'sleep', '100000');

for (const kind of SHIMS)
  describe(`docker, with ${kind}'s shim`, () => {
    before(() => useShim(kind));
    after(async () => {
      removeAll();
      await nothingIsLeft();
    });

    test("docker has systemd's driver, and this shim", () => {
      assert.equal(docker('info', '-f', '{{.CgroupDriver}} {{.CgroupVersion}}'), 'systemd 2');
      const id = sleeping('--name', 'first');
      assert.equal(shimOf(id), kind);
      assert.deepEqual(scopes(), [scope(id)]);
      docker('rm', '-f', 'first');
    });

    test('run: each stream, and the exit code', () => {
      const done = run(['docker', 'run', '--rm', IMAGE, 'sh', '-c', 'echo out; echo err >&2; exit 7']);
      assert.deepEqual(done, { stdout: 'out\n', stderr: 'err\n', status: 7 });
      assert.deepEqual(run(['docker', 'run', '--rm', '-i', IMAGE, 'cat'], 'in'), {
        stdout: 'in',
        stderr: '',
        status: 0,
      });
      assert.match(docker('run', '--rm', '-t', IMAGE, 'tty'), /^\/dev\/pts\/0/);
    });

    test('limits are properties of the scope, and an update changes them', () => {
      const id = sleeping('--memory', '64m', '--cpus', '0.5', '--pids-limit', '50');
      assert.deepEqual([file(id, 'memory.max'), file(id, 'pids.max')], [String(64 << 20), '50']);
      assert.equal(property(scope(id), 'MemoryMax'), String(64 << 20));
      docker('update', '--memory', '96m', '--memory-swap', '96m', id);
      assert.deepEqual(
        [file(id, 'memory.max'), property(scope(id), 'MemoryMax')],
        [String(96 << 20), String(96 << 20)],
      );
      docker('rm', '-f', id);
    });

    test('exec, top, stats, pause', async () => {
      const id = sleeping('--memory', '64m');
      assert.equal(run(['docker', 'exec', id, 'sh', '-c', 'exit 3']).status, 3);
      assert.match(docker('exec', '-t', id, 'tty'), /^\/dev\/pts\//);
      assert.match(docker('top', id), /sleep 100000/);
      assert.match(docker('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', id), /\/ 64MiB 1$/);
      docker('pause', id);
      assert.match(file(id, 'cgroup.events'), /frozen 1/);
      docker('unpause', id);
      assert.match(file(id, 'cgroup.events'), /frozen 0/);
      // A command that ends with it.
      const waiting = spawn('docker', ['wait', id], { stdio: ['ignore', 'pipe', 'inherit'] });
      const code = new Promise((resolve) =>
        waiting.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())),
      );
      docker('kill', id);
      assert.equal(await code, '137');
      assert.equal(docker('inspect', '-f', '{{.State.OOMKilled}}', id), 'false');
      docker('rm', id);
    });

    for (const runtime of ['runc', 'crun'])
      test(`${runtime}: what the kernel kills for want of memory is told as that`, async () => {
        const greedy = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'];
        const flags = ['--memory', '24m', '--memory-swap', '24m', '--runtime', runtime === 'crun' ? 'crun' : 'runc'];
        const begun = Math.floor(Date.now() / 1000);
        // crun's cgroup is one below the scope, and goes first.
        const rounds = runtime === 'crun' ? 6 : 2;
        const flagged: string[] = [];
        for (let round = 0; round < rounds; round++) {
          const name = `oom-${runtime}-${round}`;
          assert.equal(run(['docker', 'run', '--name', name, ...flags, IMAGE, ...greedy]).status, 137);
          flagged.push(docker('inspect', '-f', '{{.State.OOMKilled}}', name));
        }
        // That of the last is told by the time that it is.
        const told = await eventually(
          'all are told',
          () => {
            const lines = docker(
              'events',
              '--since',
              `${begun}`,
              '--until',
              `${Math.floor(Date.now() / 1000) + 1}`,
              '--filter',
              'event=oom',
              '--format',
              '{{.Actor.Attributes.name}}',
            );
            const names = new Set(lines.split('\n').filter((line) => line.startsWith(`oom-${runtime}-`)));
            return names.size === rounds ? names : undefined;
          },
          5_000,
        ).catch(() => undefined);
        removeAll();
        assert.deepEqual([flagged.filter((flag) => flag === 'true').length, told?.size], [rounds, rounds]);
      });

    test('--cgroup-parent, --cgroupns, --pid, --init, --privileged', () => {
      const id = sleeping('--cgroup-parent', 'web.slice', '--memory', '64m');
      assert.equal(file(id, 'memory.max', 'web.slice'), String(64 << 20));
      docker('rm', '-f', id);
      assert.equal(docker('run', '--rm', IMAGE, 'cat', '/proc/self/cgroup'), '0::/');
      assert.match(
        docker('run', '--rm', '--cgroupns', 'host', IMAGE, 'cat', '/proc/self/cgroup'),
        /^0::\/system\.slice\/docker-/,
      );
      assert.match(docker('run', '--rm', '--pid', 'host', IMAGE, 'cat', '/proc/1/comm'), /^systemd/);
      assert.match(docker('run', '--rm', '--init', IMAGE, 'cat', '/proc/1/comm'), /init|tini/);
      docker(
        'run',
        '--rm',
        '--privileged',
        IMAGE,
        'sh',
        '-c',
        'mkdir /sys/fs/cgroup/mine && rmdir /sys/fs/cgroup/mine',
      );
    });

    test('a health check: an exec now and then, whose result is told', async () => {
      const id = docker(
        'run',
        '-d',
        '--health-cmd',
        'test -e /tmp/well',
        '--health-interval',
        '1s',
        '--health-retries',
        '1',
        IMAGE,
        'sh',
        '-c',
        'touch /tmp/well; exec sleep 1000',
      );
      const becomes = (health: string): Promise<unknown> =>
        eventually(health, () => docker('inspect', '-f', '{{.State.Health.Status}}', id) === health, 60_000);
      await becomes('healthy');
      docker('exec', id, 'rm', '/tmp/well');
      await becomes('unhealthy');
      docker('exec', id, 'touch', '/tmp/well');
      await becomes('healthy');
      docker('rm', '-f', id);
    });

    test('restart policies and logs', async () => {
      const id = docker('run', '-d', '--restart', 'on-failure:2', IMAGE, 'sh', '-c', 'echo once; exit 4');
      await eventually(
        'it was restarted twice, and is given up',
        () => docker('inspect', '-f', '{{.RestartCount}} {{.State.Status}}', id) === '2 exited',
        60_000,
      );
      assert.equal(docker('logs', id), 'once\nonce\nonce');
      docker('rm', id);
    });

    test('containerd restarts, and is killed: containers go on, and what ends meanwhile is told', async () => {
      const id = sleeping('--name', 'stays');
      const { pid } = JSON.parse(`{"pid":${docker('inspect', '-f', '{{.State.Pid}}', id)}}`) as { pid: number };
      systemctl('restart', 'containerd');
      await eventually('docker is there again', () => run(['docker', 'exec', id, 'true']).status === 0);
      systemctl('kill', '-s', 'KILL', '--kill-whom=main', 'containerd');
      await eventually('docker is there again', () => run(['docker', 'exec', id, 'true']).status === 0);
      assert.ok(existsSync(`/proc/${pid}`));
      const ends = docker('run', '-d', IMAGE, 'sleep', '3');
      systemctl('stop', 'containerd');
      const its = Number(
        /\d+/.exec(
          ok('sh', '-c', `cat /sys/fs/cgroup/system.slice/${scope(ends)}/cgroup.procs 2>/dev/null || echo 0`),
        )![0],
      );
      await eventually('it has ended', () => its === 0 || !existsSync(`/proc/${its}/root/bin`), 30_000);
      systemctl('start', 'containerd');
      if (kind === 'hawser')
        await eventually(
          'its exit is told',
          () => docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', ends) === 'exited 0',
          60_000,
        );
      docker('rm', '-f', id, ends);
    });
  });
