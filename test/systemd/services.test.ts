/** What daemons leave behind as services of systemd: nothing that systemd, or a person who reads the journal, has to wonder at. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import {
  configureDocker,
  docker,
  IMAGE,
  journal,
  nothingIsLeft,
  now,
  processesOf,
  property,
  removeAll,
  run,
  scopes,
  shimProcesses,
  SHIMS,
  systemctl,
  useShim,
} from './system.js';

/** systemd's words for processes that outlive a unit, or were there before it. */
const LEFT = /remains running after unit stopped|[Ff]ound left-over process/;
/** Enough for containerd, its shims and a zygote, in bytes. */
const LIMIT = 192 << 20;
const used: Record<string, number> = {};

for (const kind of SHIMS)
  describe(`services, with ${kind}'s shim`, () => {
    let begun = '';
    before(async () => {
      await useShim(kind);
      begun = now();
    });
    after(async () => {
      removeAll();
      await nothingIsLeft();
    });

    test('a life of services: containers come and go, containerd restarts', async () => {
      // systemd counts anew whenever the service starts.
      let ns = 0;
      const count = (): void => void (ns += Number(property('containerd', 'CPUUsageNSec')));
      for (let round = 0; round < 3; round++) {
        for (let one = 0; one < 3; one++) assert.equal(docker('run', '--rm', IMAGE, 'echo', 'x'), 'x');
        count();
        systemctl('restart', 'containerd');
        await eventually('docker is there again', () => run(['docker', 'run', '--rm', IMAGE, 'true']).status === 0);
      }
      await delay(10_000);
      count();
      used[kind] = ns / 1e9;
      console.log(`# containerd.service used ${used[kind]?.toFixed(1)} s of processor time with ${kind}'s shim`);
    });

    test('with no container, restarts and stops leave nothing, and the journal says nothing of processes', async () => {
      docker('run', '--rm', IMAGE, 'true');
      for (let round = 0; round < 2; round++) {
        systemctl('restart', 'containerd');
        await eventually('docker is there again', () => run(['docker', 'run', '--rm', IMAGE, 'true']).status === 0);
        docker('run', '--rm', IMAGE, 'true');
      }
      systemctl('stop', 'docker.socket', 'docker', 'containerd');
      await eventually(
        'the service is empty',
        () => processesOf('containerd').length === 0 && shimProcesses().length === 0,
      );
      if (kind === 'hawser')
        assert.deepEqual(
          readdirSync('/run/hawser').filter((name) => name.startsWith('zygote')),
          [],
        );
      systemctl('start', 'containerd', 'docker.socket', 'docker');
      assert.deepEqual(
        journal('containerd', begun).filter((line) => LEFT.test(line)),
        [],
      );
    });

    test('the journal has no warning or error of the shim', () => {
      const complaints = journal('containerd', begun).filter(
        (line) => /level=(warning|error|fatal)/.test(line) && /shim|hawser/.test(line),
      );
      console.log(complaints.map((line) => `# ${kind}: ${line}\n`).join(''));
      if (kind === 'hawser')
        assert.deepEqual(
          complaints.filter((line) => !/cleaning up|cleanup/.test(line)),
          [],
        );
    });

    test('a memory limit on containerd.service is for the shims in it, and not for containers', () => {
      systemctl('set-property', '--runtime', 'containerd.service', `MemoryMax=${LIMIT}`);
      try {
        assert.equal(property('containerd', 'MemoryMax'), String(LIMIT));
        for (let one = 0; one < 3; one++) docker('run', '-d', '--name', `limited${one}`, IMAGE, 'sleep', '1000');
        for (const line of shimProcesses()) {
          const cgroup = readFileSync(`/proc/${line.split(' ')[0]}/cgroup`, 'latin1').trim();
          assert.equal(cgroup, '0::/system.slice/containerd.service', line);
        }
        // More than the service may have.
        docker('run', '--rm', IMAGE, 'dd', 'if=/dev/zero', 'of=/dev/null', `bs=${2 * LIMIT}`, 'count=1');
        assert.equal(docker('exec', 'limited0', 'echo', 'still there'), 'still there');
        assert.doesNotMatch(
          readFileSync('/sys/fs/cgroup/system.slice/containerd.service/memory.events', 'latin1'),
          /^oom_kill [1-9]/m,
        );
        docker('rm', '-f', 'limited0', 'limited1', 'limited2');
      } finally {
        systemctl('set-property', '--runtime', 'containerd.service', 'MemoryMax=infinity');
      }
    });

    test('docker with live-restore restarts, and its containers go on', async () => {
      configureDocker({ 'live-restore': true });
      try {
        systemctl('restart', 'docker');
        const id = docker('run', '-d', IMAGE, 'sh', '-c', 'while :; do echo tick; sleep 1; done');
        const pid = docker('inspect', '-f', '{{.State.Pid}}', id);
        systemctl('restart', 'docker');
        assert.equal(docker('inspect', '-f', '{{.State.Pid}} {{.State.Status}}', id), `${pid} running`);
        assert.equal(docker('exec', id, 'echo', 'there'), 'there');
        const lines = docker('logs', id).split('\n').length;
        await eventually('its output goes on', () => docker('logs', id).split('\n').length > lines);
        const short = docker('run', '-d', IMAGE, 'sh', '-c', 'sleep 2; exit 5');
        systemctl('stop', 'docker.socket', 'docker');
        await eventually('it has ended', () => !scopes().includes(`docker-${short}.scope`));
        systemctl('start', 'docker.socket', 'docker');
        await eventually(
          'its exit is told',
          () => docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', short) === 'exited 5',
        );
        docker('rm', '-f', id, short);
      } finally {
        configureDocker();
        systemctl('restart', 'docker');
      }
    });
  });

test('the shim takes no more processor time than the Go shim by much', () => {
  if (used.hawser === undefined || used.go === undefined) return;
  // For each start of the service a zygote boots and rehearses, which three containers don't make up for.
  assert.ok(used.hawser <= used.go * 2.5, JSON.stringify(used));
});
