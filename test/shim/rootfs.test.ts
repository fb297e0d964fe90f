/** Mounting what the daemon describes as a container's rootfs (contract §6.7). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { isAlive, mountsBelow, zombiesOf } from '../support/machine.js';
import { isCrun } from '../support/runtime.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab, type Shim, type Task } from '../support/shim.js';
import { makeRootfs, sh, sharedRootfs } from '../support/spec.js';

interface Mount {
  type: string;
  source: string;
  target?: string;
  options: string[];
}

async function shimFor(lab: Lab, script: string): Promise<Shim> {
  lab.bundle('c', sh(script), (spec) => {
    spec.root = { path: 'rootfs', readonly: false };
  });
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
  return {
    type: 'overlay',
    source: 'overlay',
    options: [`lowerdir=${lowers.join(':')}`, `upperdir=${upper!}`, `workdir=${work!}`],
  };
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
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(` ${lab.bundlePath('c')}/rootfs `));
  assert.match(mount ?? '', /\/rootfs ro[, ]/);
  // crun makes writable what the spec doesn't have as read-only.
  if (!isCrun) {
    assert.equal(stdout, 'done\n');
    assert.ok(!existsSync(join(source, 'file')));
  }
  await task.delete();
  const again = await shim.create('c', {
    stdio: lab.stdio('again'),
    request: { rootfs: [{ type: 'bind', source, options: ['rbind', 'rw'] }] },
  });
  await again.start();
  await again.wait();
  assert.ok(existsSync(join(source, 'file')));
  await again.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
});

shimTest('an overlay of 100 layers, whose options are longer than a page, is mounted all the same', async (lab) => {
  const lowers = Array.from({ length: 100 }, (_, n) =>
    join(lab.dir, 'layers', 'a-directory-of-some-length', String(n), 'fs'),
  );
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

shimTest(
  'when the second of two mounts fails the first is taken down, and the error names the one that failed',
  async (lab) => {
    const shim = await shimFor(lab, 'true');
    const bad = join(lab.dir, 'no-such-source');
    const rootfs = [
      { type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] },
      { type: 'bind', source: bad, options: ['rbind'] },
    ];
    await fails(
      shim.create('c', { request: { rootfs } }),
      Code.Unknown,
      /^failed to mount rootfs component: mount source: ".*no-such-source", target: ".*rootfs", fstype: bind, /,
    );
    assert.deepEqual(mountsBelow(lab.dir), []);
    await fails(shim.task.State({ id: 'c' }), Code.NotFound, 'container not created: not found');
    assert.deepEqual(lab.daemon.events, []);
  },
  { skip: hawserOnly },
);

shimTest(
  'a mount with a target lies there, inside the rootfs',
  async (lab) => {
    const source = join(lab.dir, 'source');
    const data = join(lab.dir, 'data');
    makeRootfs(source);
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'in there');
    const shim = await shimFor(lab, 'cat /var/file');
    const { task, stdout } = await runIn(shim, [
      { type: 'bind', source, options: ['rbind'] },
      { type: 'bind', source: data, target: '/var', options: ['rbind', 'ro'] },
    ]);
    assert.equal(stdout, 'in there');
    await task.delete();
    assert.deepEqual(mountsBelow(lab.dir), []);
  },
  { skip: hawserOnly },
);

shimTest(
  'a target does not lead out of the rootfs, by dots or by a link: both are followed as in the container',
  async (lab) => {
    const source = join(lab.dir, 'source');
    const outside = join(lab.dir, 'outside');
    makeRootfs(source);
    mkdirSync(outside);
    symlinkSync(outside, join(source, 'link'));
    const shim = await shimFor(lab, 'ls /outside');
    const base = { type: 'bind', source, options: ['rbind'] };
    const rootfs = join(lab.bundlePath('c'), 'rootfs');
    for (const [name, target, place] of [
      ['link', '/link/x', join(outside, 'x')],
      ['dots', '../../../outside', '/outside'],
    ] as const) {
      const task = await shim.create('c', {
        stdio: lab.stdio(name),
        request: { rootfs: [base, { type: 'tmpfs', source: 'tmpfs', target, options: [] }] },
      });
      assert.deepEqual(mountsBelow(lab.dir), [rootfs, join(rootfs, place)]);
      await task.delete();
      assert.deepEqual(mountsBelow(lab.dir), []);
    }
    assert.deepEqual(readdirSync(outside), []);
  },
  { skip: hawserOnly },
);

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

/** A file with an ext4 file system that a container can live in. */
function image(lab: Lab): string {
  const [file, content] = [join(lab.dir, 'image'), join(lab.dir, 'content')];
  makeRootfs(content);
  writeFileSync(file, '');
  truncateSync(file, 16 << 20);
  execFileSync('/sbin/mke2fs', ['-q', '-F', '-t', 'ext4', '-d', content, file], { stdio: 'ignore' });
  rmSync(content, { recursive: true });
  return file;
}

function loopDevices(lab: Lab): string[] {
  return readdirSync('/sys/block').filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, 'utf8').startsWith(`${lab.dir}/`);
  });
}

const loopDevicesGo = (lab: Lab): Promise<unknown> =>
  eventually('the loop device is free', () => loopDevices(lab).length === 0);

shimTest('an image in a file is a rootfs, by a loop device that is free after Delete', async (lab) => {
  const source = image(lab);
  const shim = await shimFor(lab, 'echo kept > /file && head -n 1 /proc/mounts');
  const { task, stdout, status } = await runIn(shim, [{ type: 'ext4', source, options: ['loop'] }]);
  assert.equal(status, 0);
  assert.match(stdout, /^\/dev\/loop\d+ \/ ext4 /m);
  assert.equal(loopDevices(lab).length, 1);
  await task.delete();
  assert.deepEqual(mountsBelow(lab.dir), []);
  await loopDevicesGo(lab);
  const descriptors = shim.descriptors();
  assert.deepEqual(
    descriptors.filter((name) => name.includes('loop') || name.includes('image')),
    [],
  );
  const again = await shim.create('c', {
    stdio: lab.stdio('again'),
    request: { rootfs: [{ type: 'ext4', source, options: ['loop', 'ro'] }] },
  });
  assert.equal(readFileSync(join(lab.bundlePath('c'), 'rootfs/file'), 'utf8'), 'kept\n');
  await again.delete();
  await loopDevicesGo(lab);
  if (!hawserOnly) assert.deepEqual(shim.descriptors(), descriptors);
});

shimTest(
  'a loop device is free after a create that failed, and after the delete action of a shim that was killed',
  async (lab) => {
    const source = image(lab);
    const shim = await shimFor(lab, 'sleep 1000');
    const loop = { type: 'ext4', source, options: ['loop'] };
    await fails(
      shim.create('c', { request: { rootfs: [loop, { type: 'bind', source: '/no/such', options: ['bind'] }] } }),
      Code.Unknown,
      /failed to mount rootfs component/,
    );
    await loopDevicesGo(lab);
    const task = await shim.create('c', { stdio: lab.stdio('second'), request: { rootfs: [loop] } });
    await task.start();
    assert.equal(loopDevices(lab).length, 1);
    process.kill(shim.pid, 'SIGKILL');
    await shim.gone();
    assert.equal((await lab.deleteAction('c')).status, 0);
    await eventually('the container is gone', () => !isAlive(task.pid));
    assert.deepEqual(mountsBelow(lab.dir), []);
    await loopDevicesGo(lab);
  },
  { skip: hawserOnly },
);

shimTest(
  'a rootfs whose owners are shifted belongs to the root of a user namespace, and so does what it writes',
  async (lab) => {
    const source = join(lab.dir, 'source');
    makeRootfs(source);
    const shift = { containerID: 0, hostID: 100_000, size: 65_536 };
    lab.bundle('c', sh('stat -c "%u %g" /bin/busybox && echo new > /new && stat -c %u /new'), (spec) => {
      spec.root = { path: 'rootfs', readonly: false };
      spec.linux.namespaces.push({ type: 'user' });
      Object.assign(spec.linux, { uidMappings: [shift], gidMappings: [shift] });
    });
    chmodSync(lab.dir, 0o755);
    for (const dir of ['bundles', 'bundles/c']) chmodSync(join(lab.dir, dir), 0o711);
    const shim = await lab.shim('c');
    const { task, stdout } = await runIn(shim, [
      { type: 'bind', source, options: ['rbind', 'rw', 'uidmap=0:100000:65536', 'gidmap=0:100000:65536'] },
    ]);
    assert.equal(stdout, '0 0\n0\n', (await task.err.ended).toString());
    assert.deepEqual(
      [statSync(join(source, 'bin/busybox')).uid, statSync(join(source, 'new')).uid],
      [0, 0],
      "on disk it is still the host's root",
    );
    await task.delete();
    assert.deepEqual(mountsBelow(lab.dir), []);
  },
  { skip: hawserOnly },
);

/** A PATH with a program in front. */
function pathWith(lab: Lab, name: string, script: string): string {
  const bin = join(lab.dir, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, name), `#!/bin/sh\nlab=${lab.dir}\n${script}\n`, { mode: 0o755 });
  return `${bin}:${process.env.PATH}`;
}

shimTest(
  'a rootfs in user space is mounted by its helper; the daemon that this leaves holds nobody up and leaves no zombie',
  async (lab) => {
    const PATH = pathWith(
      lab,
      'mount.fuse3',
      `echo "$@" > $lab/args; mount --bind "$1" "$2"; (cd "$lab"; while [ ! -e "$lab/end" ]; do sleep 0.05; done) & echo $! > $lab/daemon`,
    );
    lab.bundle('c', sh('echo hello'), (spec) => {
      spec.root = { path: 'rootfs', readonly: true };
    });
    const shim = await lab.shim('c', { env: { PATH } });
    const { task, stdout } = await runIn(shim, [
      { type: 'fuse3.some-fs', source: sharedRootfs(), options: ['allow_other', 'ro'] },
    ]);
    assert.equal(stdout, 'hello\n');
    const rootfs = join(lab.bundlePath('c'), 'rootfs');
    assert.equal(
      readFileSync(join(lab.dir, 'args'), 'utf8').trim(),
      `${sharedRootfs()} ${rootfs} -o allow_other -o ro -t some-fs`,
    );
    await within('Delete', task.delete());
    assert.deepEqual(mountsBelow(lab.dir), []);
    const daemon = Number(readFileSync(join(lab.dir, 'daemon'), 'utf8'));
    assert.ok(isAlive(daemon));
    writeFileSync(join(lab.dir, 'end'), '');
    await eventually(
      "the file system's daemon is collected",
      () => !existsSync(`/proc/${daemon}`) && zombiesOf(shim.pid).length === 0,
    );
  },
  { skip: hawserOnly },
);

shimTest(
  'field 8: a rootfs that stays in use fails Delete with the reason; when it is free, Delete again succeeds, with the exit status',
  async (lab) => {
    const shim = await shimFor(lab, 'exit 7');
    const { task } = await runIn(shim, [{ type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] }]);
    const holder = spawn('sleep', ['1000'], { cwd: join(lab.bundlePath('c'), 'rootfs/bin'), stdio: 'ignore' });
    const left = new Promise((resolve) => holder.once('exit', resolve));
    await fails(task.delete(), Code.Unknown, /^failed rootfs umount: .*(EBUSY|device or resource busy)/);
    assert.equal((await task.state()).status, STATUS.STOPPED);
    assert.deepEqual(lab.daemon.of('c', '/tasks/delete'), []);
    holder.kill('SIGKILL');
    await left;
    assert.equal((await task.delete()).exitStatus, 7);
    assert.deepEqual(mountsBelow(lab.dir), []);
    await fails(task.delete(), Code.NotFound, 'container not created: not found');
    await shim.shutdown();
  },
);

shimTest(
  'the delete action detaches what stays in use, as nobody comes after it',
  async (lab) => {
    const shim = await shimFor(lab, 'sleep 1000');
    const task = await shim.create('c', {
      request: { rootfs: [{ type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] }] },
    });
    await task.start();
    const holder = spawn('sleep', ['1000'], { cwd: join(lab.bundlePath('c'), 'rootfs/bin'), stdio: 'ignore' });
    const left = new Promise((resolve) => holder.once('exit', resolve));
    process.kill(shim.pid, 'SIGKILL');
    await shim.gone();
    const { status, stderr } = await lab.deleteAction('c');
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(mountsBelow(lab.dir), []);
    holder.kill('SIGKILL');
    await left;
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 45: a Delete that its client gave up on goes on; asked again it tells the end, once, and Shutdown ends the shim',
  async (lab) => {
    const gate = join(lab.dir, 'gate');
    writeFileSync(gate, '');
    const binaryName = lab.fakeRunc(
      'runc-slow',
      `if [ "$command" = delete ]; then touch "$lab/begun"; while [ -e "$lab/gate" ]; do sleep 0.02; done; fi`,
    );
    const task = await lab.task('c', sh('exit 7'), { options: { binaryName } });
    await task.start();
    await task.wait();
    await assert.rejects(task.shim.task.Delete({ id: 'c' }, { timeoutMs: 300 }));
    await eventually('it is being deleted', () => existsSync(join(lab.dir, 'begun')));
    const second = task.shim.task.Delete({ id: 'c' });
    rmSync(gate);
    const { pid, exitStatus } = await second;
    assert.deepEqual([pid, exitStatus], [task.pid, 7]);
    await fails(task.delete(), Code.NotFound, 'container not created: not found');
    await lab.daemon.saw('delete', 'c');
    assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 7', 'delete']);
    await task.shim.shutdown();
    assert.equal((await lab.deleteAction('c')).status, 0);
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'mounts on one another are all unmounted by Delete',
  async (lab) => {
    const shim = await shimFor(lab, 'cat /proc/mounts | grep -c " /var "');
    const base = { type: 'bind', source: sharedRootfs(), options: ['rbind', 'ro'] };
    const tmpfs = { type: 'tmpfs', source: 'tmpfs', target: '/var', options: ['nodev'] };
    const { task, status } = await runIn(shim, [base, base, tmpfs, tmpfs]);
    assert.equal(status, 0);
    assert.equal(mountsBelow(lab.dir).length, 4);
    await task.delete();
    assert.deepEqual(mountsBelow(lab.dir), []);
  },
  { skip: hawserOnly },
);
