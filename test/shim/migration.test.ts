/** The kernel is told early that a process will be moved to another cgroup: it takes its time to prepare (src/sys/migration.c). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { hasCgroup2, threadsNamed } from '../support/machine.js';
import { hawserOnly, shimTest, type Lab } from '../support/shim.js';

/** Puts a process into a cgroup of its own, in the hierarchy that is named first where it says in which it is; gives its file. */
function isolate(lab: Lab, pid: number): string {
  const [, controllers = ''] = /^\d+:(?:name=)?([^:]*):/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))!;
  const hierarchy = ['', 'unified']
    .map((dir) => join('/sys/fs/cgroup', controllers || dir))
    .find((dir) => existsSync(join(dir, 'cgroup.procs')))!;
  const dir = join(hierarchy, lab.cgroup, 'shim');
  mkdirSync(dir, { recursive: true });
  // On v1 nothing can be put into a cgroup that has no processors yet.
  for (const below of existsSync(join(hierarchy, 'cpuset.cpus')) && controllers !== ''
    ? [lab.cgroup, `${lab.cgroup}/shim`]
    : []) {
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      writeFileSync(join(hierarchy, below, file), readFileSync(join(hierarchy, file)));
  }
  const file = join(dir, 'cgroup.procs');
  writeFileSync(file, String(pid));
  return file;
}

shimTest(
  'create and exec say that a process will be moved, but on cgroup v2, and the shim stays where it is',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    let said = 0;
    const watcher = watch(isolate(lab, shim.worker), () => said++);
    const heard = async (what: string): Promise<void> => {
      // What a runtime makes in a cgroup would wait for it (src/sys/migration.c).
      if (hasCgroup2()) {
        assert.equal(said, 0);
        return;
      }
      await eventually(what, () => said > 0 && threadsNamed('hawser-migrate', shim.worker) === 0);
      said = 0;
    };
    try {
      const cgroups = readFileSync(`/proc/${shim.worker}/cgroup`, 'utf8');
      const task = await shim.create('c', { stdout: '', stderr: '' });
      await heard('it is said for create');
      await task.start();
      await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
      await heard('it is said for an exec, before it is started');
      await task.start('e');
      await heard('it is said for its start');
      assert.equal(readFileSync(`/proc/${shim.worker}/cgroup`, 'utf8'), cgroups);
    } finally {
      watcher.close();
    }
  },
  { skip: hawserOnly },
);
