/** `[cgroup] path`: the daemon puts itself into a cgroup, with what it starts, as containerd does. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hierarchiesIn, joinCgroup } from '../../src/daemon/cgroup.js';
import { Containerd, shimDir, top, until } from '../support/daemons.js';
import { cgroupDirs, removeCgroups } from '../support/machine.js';

const hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
const path = `/${hawserd.namespace}-daemon`;
const place = (pid: number): string[] =>
  hierarchiesIn(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter(
      ({ point }) =>
        !readFileSync(join(point, path, 'nested/cgroup.procs'), 'utf8')
          .split('\n')
          .includes(String(pid)),
    )
    .map(({ point }) => point);

after(async () => {
  await hawserd.cleanUp();
  // A zygote is still on its way out.
  await until('the cgroups to go', () => {
    removeCgroups(path);
    return cgroupDirs(path).length === 0;
  });
});

test('it is there in every hierarchy, its shims too; its containers have their own', async () => {
  appendFileSync(join(hawserd.dir, 'config.toml'), `\n[cgroup]\n  path = "${path}/nested"\n`);
  await hawserd.start();
  assert.deepEqual(place(hawserd.pid), []);
  await hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, 'c', '/bin/sleep', '1000']);
  const [shim] = await hawserd.shimPids();
  assert.deepEqual(place(shim!), []);
  const init = Number(/^c\s+(\d+)/m.exec((await hawserd.ctr(['tasks', 'ls'])).stdout)?.[1]);
  assert.ok(!readFileSync(`/proc/${init}/cgroup`, 'utf8').includes(path));
  await hawserd.ctr(['tasks', 'rm', '-f', 'c']);
  await hawserd.ctr(['containers', 'rm', 'c']);
});

test('v2 is where it is alone; a cgroup that cannot be had is named', () => {
  const v2 = '29 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n';
  assert.deepEqual(hierarchiesIn(v2), [{ point: '/sys/fs/cgroup', root: '/', isCpuset: false }]);
  const hybrid =
    '30 29 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n31 29 0:28 /x /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n32 29 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n';
  assert.deepEqual(
    hierarchiesIn(hybrid).map(({ point, root, isCpuset }) => [point, root, isCpuset]),
    [
      ['/sys/fs/cgroup/cpuset', '/x', true],
      ['/sys/fs/cgroup/systemd', '/', false],
    ],
  );
  assert.throws(
    () => joinCgroup('/a', [{ point: '/tmp', root: '/x', isCpuset: false }]),
    /path = "\/a": it is not below \/x/,
  );
  assert.throws(() => joinCgroup('/a', []), /\[cgroup\] path = "\/a": no cgroups are mounted/);
  assert.throws(
    () => joinCgroup('/a', [{ point: '/etc/passwd', root: '/', isCpuset: false }]),
    /\[cgroup\] path = "\/a": cannot move hawserd into \/etc\/passwd\/a: /,
  );
});
