/** Every field of the runtime options and every type that clients send them in (contract §5). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, google, runtimeoptions } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually } from '../support/eventually.js';
import { cgroupDirs, isAlive } from '../support/machine.js';
import { bundleFile, fails, hawserOnly, shimTest, type Lab } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

type Any = google.protobuf.Any.$Properties;

/** A runc that writes down its arguments, one command a line, and takes none of these flags itself. */
function recordingRunc(lab: Lab, name: string, ...without: string[]): { binaryName: string; calls: () => string[] } {
  const strip = without
    .map((flag) => `for word; do shift; [ "$word" = ${flag} ] || set -- "$@" "$word"; done`)
    .join('\n');
  const binaryName = lab.fakeRunc(name, `echo "$@" >> "$lab/${name}.calls"\n${strip}`);
  const file = join(lab.dir, `${name}.calls`);
  return { binaryName, calls: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []) };
}

const optionsFile = (lab: Lab, id: string): Record<string, unknown> =>
  JSON.parse(bundleFile(lab, id, 'options.json')) as Record<string, unknown>;

shimTest('no_pivot_root and no_new_keyring are flags of create, and of create only', async (lab) => {
  const runc = recordingRunc(lab, 'runc-a');
  const task = await lab.task('c', undefined, {
    options: { binaryName: runc.binaryName, noPivotRoot: true, noNewKeyring: true },
  });
  await task.start();
  await task.remove();
  const flags = runc.calls().map((line) => line.split(' ').filter((word) => word.startsWith('--no-')));
  assert.deepEqual(flags[0], ['--no-pivot', '--no-new-keyring']);
  assert.deepEqual(flags.slice(1).flat(), []);
});

shimTest('systemd_cgroup goes to every command but that of the delete action', async (lab) => {
  const runc = recordingRunc(lab, 'runc-a', '--systemd-cgroup');
  const task = await lab.task('c', undefined, { options: { binaryName: runc.binaryName, systemdCgroup: true } });
  await task.start();
  await task.run('e', ['/bin/true']);
  process.kill(task.shim.pid, 'SIGKILL');
  await task.shim.gone();
  const live = runc.calls().length;
  assert.equal((await lab.deleteAction('c')).status, 0);
  const calls = runc.calls();
  assert.ok(
    calls.slice(0, live).every((line) => /^--root \S+ --log \S+ --log-format json --systemd-cgroup \w/.test(line)),
    calls.join('\n'),
  );
  assert.ok(
    calls.length > live && calls.slice(live).every((line) => !line.includes('--systemd-cgroup')),
    calls.join('\n'),
  );
});

shimTest(
  'criu_path is handed to the runtime, criu_work_path to its restore',
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-restore', 'echo "$@" >> "$lab/calls"; [ "$command" != restore ] || exit 1');
    lab.bundle('c');
    const shim = await lab.shim('c');
    const checkpoint = join(lab.dir, 'image');
    mkdirSync(checkpoint);
    const task = await shim.create('c', {
      options: { binaryName, criuPath: '/opt/criu', criuWorkPath: '/some/work' },
      request: { checkpoint },
    });
    await assert.rejects(task.start(), /OCI runtime restore failed/);
    const call = readFileSync(join(lab.dir, 'calls'), 'utf8').split('\n')[0]!;
    assert.match(
      call,
      /--log-format json --criu \/opt\/criu restore --image-path \S+\/image --work-path \/some\/work /,
    );
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest('shim_cgroup: the shim and its commands are in it, the container is not', async (lab) => {
  const path = `${lab.cgroup}/shim`;
  const roots = readdirSync('/sys/fs/cgroup', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const dirs = unified
    ? [join('/sys/fs/cgroup', path)]
    : roots
        .filter(({ name }) => ['memory', 'pids', 'freezer'].includes(name))
        .map(({ name }) => join('/sys/fs/cgroup', name, path));
  assert.ok(dirs.length > 0);
  for (const dir of dirs) mkdirSync(dir, { recursive: true });
  lab.bundle('c');
  const stdin = google.protobuf.Any.encode(lab.options({ shimCgroup: path })).finish();
  const shim = await lab.shim('c', { stdin });
  for (const dir of dirs)
    assert.ok(readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').includes(String(shim.pid)), dir);
  const task = await shim.create('c', { options: { shimCgroup: path } });
  assert.ok(!readFileSync(`/proc/${task.pid}/cgroup`, 'utf8').includes(`:${path}\n`));
  assert.equal(optionsFile(lab, 'c').shim_cgroup, path);
  await task.delete();
  await shim.shutdown();
  // A zombie is in it until somebody collects it.
  await eventually('nobody is in it', () =>
    cgroupDirs(path).every((dir) => readFileSync(join(dir, 'cgroup.procs'), 'utf8') === ''),
  );
});

shimTest(
  'a shim_cgroup that is not there fails start by its name, and leaves no shim and no socket',
  async (lab) => {
    lab.bundle('c');
    const stdin = google.protobuf.Any.encode(lab.options({ shimCgroup: `${lab.cgroup}/missing` })).finish();
    const { status, stdout, stderr } = await lab.startAction('c', { stdin });
    assert.deepEqual({ status, stdout: stdout.toString() }, { status: 1, stdout: '' });
    assert.match(stderr, /shim_cgroup ".*missing" is no cgroup below/);
    await eventually('no process is left', () => lab.snapshot().processes.length === 0);
    const address = bundleFile(lab, 'c', 'address').replace('unix://', '');
    assert.ok(!existsSync(address));
  },
  { skip: hawserOnly },
);

const HOST_ROOT = 100_000;

function userns(spec: TestSpec): void {
  spec.linux.namespaces.push({ type: 'user' });
  spec.linux.uidMappings = [{ containerID: 0, hostID: HOST_ROOT, size: 65_536 }];
  spec.linux.gidMappings = [{ containerID: 0, hostID: HOST_ROOT, size: 65_536 }];
}

shimTest('io_uid and io_gid: in a user namespace a process may open its own stdio again', async (lab) => {
  const script = 'id -u; echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin; echo done > /proc/self/fd/1';
  const task = await lab.task('c', sh(script), {
    stdin: true,
    edit: userns,
    options: { ioUid: HOST_ROOT, ioGid: HOST_ROOT },
  });
  await task.start();
  const input = await task.stdio.input();
  await input.write('in\n');
  input.close();
  await task.shim.task.CloseIO({ id: 'c', stdin: true });
  assert.equal((await task.wait()).exitStatus, 0, task.err.text);
  assert.equal((await task.out.ended).toString(), '0\nout\nin\ndone\n');
  assert.equal((await task.err.ended).toString(), 'err\n');
  await task.delete();
});

shimTest('io_uid and io_gid hold for execs too', async (lab) => {
  const task = await lab.task('c', undefined, {
    stdout: '',
    stderr: '',
    edit: userns,
    options: { ioUid: HOST_ROOT, ioGid: HOST_ROOT },
  });
  await task.start();
  const { status, stdout } = await task.run('e', sh('echo again > /dev/stdout && stat -L -c "%u %g" /proc/self/fd/1'));
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'again\n0 0\n' });
});

shimTest("binary_name and root are each container's own, in one shim and in the delete action", async (lab) => {
  const one = recordingRunc(lab, 'runc-one');
  const two = recordingRunc(lab, 'runc-two');
  const [rootOne, rootTwo] = [join(lab.dir, 'root-one'), join(lab.dir, 'root-two')];
  const a = await lab.task('a', undefined, { options: { binaryName: one.binaryName, root: rootOne } });
  const b = await a.shim.add('b', undefined, { options: { binaryName: two.binaryName, root: rootTwo } });
  const c = await a.shim.add('c', sh('exit 3'));
  for (const task of [a, b, c]) await task.start();
  assert.deepEqual(readdirSync(join(rootOne, lab.namespace)), ['a']);
  assert.deepEqual(readdirSync(join(rootTwo, lab.namespace)), ['b']);
  assert.deepEqual(readdirSync(join(lab.runcRoot, lab.namespace)), ['c']);
  assert.ok(
    one.calls().every((line) => line.startsWith(`--root ${rootOne}/${lab.namespace} `) && line.endsWith(' a')),
    one.calls().join('\n'),
  );
  assert.ok(
    two.calls().every((line) => line.startsWith(`--root ${rootTwo}/${lab.namespace} `) && line.endsWith(' b')),
    two.calls().join('\n'),
  );
  assert.equal((await c.wait()).exitStatus, 3);
  await c.delete();
  process.kill(a.shim.pid, 'SIGKILL');
  await a.shim.gone();
  for (const task of [a, b]) {
    assert.equal((await lab.deleteAction(task.id)).status, 0);
    await eventually(`${task.id} is gone`, () => !isAlive(task.pid));
  }
  assert.deepEqual(
    [rootOne, rootTwo].flatMap((root) => readdirSync(join(root, lab.namespace))),
    [],
  );
  for (const runc of [one, two]) assert.match(runc.calls().at(-1)!, / delete --force [ab]$/);
});

shimTest(
  "task_api_address and task_api_version are the daemon's business",
  async (lab) => {
    const task = await lab.task('c', sh('exit 4'), {
      options: { taskApiAddress: 'ttrpc+unix:///nowhere', taskApiVersion: 3 },
    });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 4);
    await task.delete();
    const { task_api_address, task_api_version } = optionsFile(lab, 'c');
    assert.deepEqual([task_api_address, task_api_version], ['ttrpc+unix:///nowhere', 3]);
  },
  { skip: hawserOnly },
);

/** Each way of saying which runtime to run, and under which root. */
function spellings(lab: Lab, binary: string, root: string): Record<string, Any> {
  const runc = containerd.runc.v1.Options.encode({ binaryName: binary, root }).finish();
  const toml = `BinaryName = "${binary}"\nRoot = "${root}"\n`;
  const file = join(lab.dir, 'runtime.toml');
  writeFileSync(file, toml);
  const { Options } = runtimeoptions.v1;
  return {
    bare: { type_url: 'containerd.runc.v1.Options', value: runc },
    'with a host': { type_url: 'type.googleapis.com/containerd.runc.v1.Options', value: runc },
    'of the runtime v1': {
      type_url: 'containerd.linux.runc.RuncOptions',
      value: containerd.linux.runc.RuncOptions.encode({ runtime: binary, runtimeRoot: root }).finish(),
    },
    TOML: { type_url: 'runtimeoptions.v1.Options', value: Options.encode({ configBody: Buffer.from(toml) }).finish() },
    'a file of TOML': {
      type_url: 'type.googleapis.com/runtimeoptions.v1.Options',
      value: Options.encode({ typeUrl: 'containerd.runc.v1.Options', configPath: file }).finish(),
    },
  };
}

shimTest(
  'options of every type that means runc are honoured, and kept for the delete action',
  async (lab) => {
    const runc = recordingRunc(lab, 'runc-a');
    lab.bundle('leader');
    const shim = await lab.shim('leader');
    for (const [n, [what, options]] of Object.entries(spellings(lab, runc.binaryName, lab.runcRoot)).entries()) {
      const before = runc.calls().length;
      const task = await shim.add(`c${n}`, ['/bin/true'], { request: { options } });
      assert.ok(runc.calls().length > before, `${what}: the runtime is the one that was named`);
      assert.deepEqual(optionsFile(lab, `c${n}`), { binary_name: runc.binaryName, root: lab.runcRoot }, what);
      assert.equal(bundleFile(lab, `c${n}`, 'runtime'), runc.binaryName);
      await task.delete();
    }
    const old = {
      type_url: 'containerd.linux.runc.CreateOptions',
      value: containerd.linux.runc.CreateOptions.encode({ ioUid: 7, noPivotRoot: true }).finish(),
    };
    const task = await shim.add('old', ['/bin/true'], { request: { options: old } });
    assert.deepEqual(optionsFile(lab, 'old'), { io_uid: 7, no_pivot_root: true });
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest(
  'options that are for somebody else, or broken, are refused, and the shim lives on',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    let attempt = 0;
    const refused = (options: Any, text: RegExp): Promise<void> =>
      fails(shim.create('c', { stdio: lab.stdio(`c${attempt++}`), request: { options } }), Code.InvalidArgument, text);
    await refused(
      { type_url: 'io.containerd.runsc.v1.options', value: Buffer.from('x') },
      /^options of type "io\.containerd\.runsc\.v1\.options" are not for this runtime/,
    );
    await refused({ type_url: '', value: Buffer.from('x') }, /^options of type "" are not for this runtime/);
    await refused({ type_url: 'containerd.runc.v1.Options', value: Buffer.from([0xff]) }, /cannot be decoded/);
    await refused({ type_url: 'runtimeoptions.v1.Options', value: Buffer.from('x') }, /cannot be decoded/);
    assert.ok(!existsSync(join(lab.bundlePath('c'), 'options.json')), 'nothing is written down');
    const task = await shim.create('c', {
      stdio: lab.stdio('good'),
      request: { options: { type_url: 'anything.at.all', value: Buffer.alloc(0) } },
    });
    await task.delete();
  },
  { skip: hawserOnly },
);
