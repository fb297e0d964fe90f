/** Mounting what the daemon describes as a container's rootfs (contract §6.7). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { mountsBelow } from '../support/machine.js';
import { fails, hawserOnly, shimTest, type Lab, type Shim, type Task } from '../support/shim.js';
import { makeRootfs, sh, sharedRootfs } from '../support/spec.js';

interface Mount { type: string; source: string; target?: string; options: string[] }

async function shimFor(lab: Lab, script: string): Promise<Shim> {
  lab.bundle('c', sh(script), (spec) => { spec.root = { path: 'rootfs', readonly: false }; });
  return lab.shim('c');
}

async function runIn(shim: Shim, rootfs: Mount[]): Promise<{ task: Task; status: number; stdout: string }> {
  const task = await shim.create('c', { request: { rootfs } });
  await task.start();
  const { exitStatus } = await task.wait();
  return { task, status: exitStatus, stdout: (await task.out.ended).toString() };
}

function overlay(lab: Lab, lowers: string[]): Mount {
  const [upper, work] = ['upper', 'work'].map((name) => join(lab.dir, name));
  for (const dir of [upper!, work!]) mkdirSync(dir);
  return { type: 'overlay', source: 'overlay', options: [`lowerdir=${lowers.join(':')}`, `upperdir=${upper!}`, `workdir=${work!}`] };
}

shimTest('an overlay is mounted for the container and unmounted by Delete', async (lab) => {
  const shim = await shimFor(lab, 'echo new > /new; test -x /bin/busybox && echo both');
  const { task, stdout } = await runIn(shim, [overlay(lab, [sharedRootfs()])]);
  assert.equal(stdout, 'both\n');
  assert.equal(readFileSync(join(lab.dir, 'upper/new'), 'utf8'), 'new\n');
  assert.deepEqual(mountsBelow(lab.dir), [join(lab.bundlePath('c'), 'rootfs')]);
  await task.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
  await lab.daemon.saw('create', 'c');
  assert.equal(lab.daemon.of('c', '/tasks/create')[0]!.body.rootfs?.length, 1);
});

shimTest('a read-only bind is read-only', async (lab) => {
  const source = join(lab.dir, 'source');
  makeRootfs(source);
  const shim = await shimFor(lab, 'echo x > /file && echo written; echo done');
  const { task, stdout } = await runIn(shim, [{ type: 'bind', source, options: ['rbind', 'ro'] }]);
  assert.equal(stdout, 'done\n');
  assert.ok(!existsSync(join(source, 'file')));
  await task.delete();
  const again = await shim.create('c', { stdio: lab.stdio('again'), request: { rootfs: [{ type: 'bind', source, options: ['rbind', 'rw'] }] } });
  await again.start();
  await again.wait();
  assert.ok(existsSync(join(source, 'file')));
  await again.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
});

shimTest('an overlay of 100 layers, whose options are longer than a page, is mounted all the same', async (lab) => {
  const lowers = Array.from({ length: 100 }, (_, n) => join(lab.dir, 'layers', 'a-directory-of-some-length', String(n), 'fs'));
  for (const [n, dir] of lowers.entries()) {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, `layer-${n}`), '');
  }
  makeRootfs(join(lab.dir, 'layers', 'base'));
  const mount = overlay(lab, [...lowers, join(lab.dir, 'layers', 'base')]);
  assert.ok(mount.options.join(',').length > 4096);
  const shim = await shimFor(lab, 'ls / | grep -c layer-');
  const { task, stdout } = await runIn(shim, [mount]);
  assert.equal(stdout, '100\n');
  await task.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
});

shimTest('when the second of two mounts fails the first is taken down, and the error names the one that failed', async (lab) => {
  const shim = await shimFor(lab, 'true');
  const bad = join(lab.dir, 'no-such-source');
  const rootfs = [{ type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] }, { type: 'bind', source: bad, options: ['rbind'] }];
  await fails(shim.create('c', { request: { rootfs } }), Code.Unknown, /^failed to mount rootfs component: mount source: ".*no-such-source", target: ".*rootfs", fstype: bind, /);
  assert.deepEqual(mountsBelow(lab.dir), []);
  await fails(shim.task.State({ id: 'c' }), Code.NotFound, 'container not created: not found');
  assert.deepEqual(lab.daemon.events, []);
}, { skip: hawserOnly });

shimTest('a mount with a target lies there, inside the rootfs', async (lab) => {
  const source = join(lab.dir, 'source');
  const data = join(lab.dir, 'data');
  makeRootfs(source);
  mkdirSync(data);
  writeFileSync(join(data, 'file'), 'in there');
  const shim = await shimFor(lab, 'cat /var/file');
  const { task, stdout } = await runIn(shim, [{ type: 'bind', source, options: ['rbind'] }, { type: 'bind', source: data, target: '/var', options: ['rbind', 'ro'] }]);
  assert.equal(stdout, 'in there');
  await task.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
}, { skip: hawserOnly });

shimTest('a target does not lead out of the rootfs, by dots or by a link', async (lab) => {
  const source = join(lab.dir, 'source');
  const outside = join(lab.dir, 'outside');
  makeRootfs(source);
  mkdirSync(outside);
  symlinkSync(outside, join(source, 'link'));
  const shim = await shimFor(lab, 'ls /outside');
  const base = { type: 'bind', source, options: ['rbind'] };
  await fails(shim.create('c', { request: { rootfs: [base, { type: 'tmpfs', source: 'tmpfs', target: '/link', options: [] }] } }), Code.Unknown, /failed to mount rootfs component: .*out of the rootfs/);
  assert.deepEqual(mountsBelow(lab.dir), []);
  const dots = await shim.create('c', { stdio: lab.stdio('dots'), request: { rootfs: [base, { type: 'tmpfs', source: 'tmpfs', target: '../../../outside', options: [] }] } });
  assert.ok(mountsBelow(lab.dir).includes(join(lab.bundlePath('c'), 'rootfs/outside')));
  await dots.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
}, { skip: hawserOnly });

shimTest('bug 44: a rootfs directory that is there already is no error', async (lab) => {
  const shim = await shimFor(lab, 'exit 3');
  mkdirSync(join(lab.bundlePath('c'), 'rootfs'));
  const { status } = await runIn(shim, [{ type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] }]);
  assert.equal(status, 3);
});

shimTest('a mount that a container holds busy for a while is unmounted when it lets go', async (lab) => {
  const shim = await shimFor(lab, 'exit 0');
  const { task } = await runIn(shim, [{ type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] }]);
  const holder = spawn('sleep', ['1'], { cwd: join(lab.bundlePath('c'), 'rootfs/bin'), stdio: 'ignore' });
  const left = new Promise((resolve) => holder.once('exit', resolve));
  await task.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
  await left;
});
