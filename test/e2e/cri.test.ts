/** Pods by containerd's own CRI plugin, as kubelet asks for them (contract §1.14, §7.3). */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CONTAINER_EXITED, Cri, NAMESPACE, podConfig } from '../support/cri.js';
import { Containerd, makeImage, shimDir, until } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';

const IMAGE = 'docker.io/library/busybox:cri-test';
let containerd: Containerd;
let cri: Cri;

/** The daemon's configuration with the plugin, and with a runtime that is this shim under a name of its own. */
function configure(): void {
  writeFileSync(
    join(containerd.dir, 'config.toml'),
    `version = 2
root = "${containerd.root}"
state = "${containerd.state}"
[grpc]
  address = "${containerd.socket}"
[debug]
  level = "debug"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${containerd.dir}/cni"
    conf_dir = "${containerd.dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "${containerd.dir}/runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.mine]
    runtime_type = "io.containerd.hawser.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.mine.options]
      ConfigPath = "${containerd.dir}/mine.toml"
`,
  );
  writeFileSync(
    join(containerd.dir, 'mine.toml'),
    `# options of the runtime, in a file
BinaryName = "${containerd.dir}/my-runc"
Root = "${containerd.dir}/my-root"
`,
  );
  writeFileSync(join(containerd.dir, 'my-runc'), `#!/bin/sh\necho "$@" >> ${containerd.dir}/calls\nexec runc "$@"\n`, {
    mode: 0o755,
  });
}

/** The shim under two names. */
function shims(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-shims-'));
  for (const name of ['runc', 'hawser'])
    symlinkSync(join(shimDir, 'containerd-shim-runc-v2'), join(dir, `containerd-shim-${name}-v2`));
  return dir;
}

before(async () => {
  containerd = new Containerd(shims());
  configure();
  await containerd.start();
  await containerd.ctr([
    '-n',
    'k8s.io',
    'images',
    'import',
    await makeImage(containerd.dir, containerd.rootfs, IMAGE, ['/bin/sleep', '100000']),
  ]);
  cri = new Cri(containerd.socket);
});

after(async () => {
  cri.close();
  await containerd.cleanUp();
  rmSync(containerd.shims, { recursive: true });
});

const init = (id: string): number => Number(readFileSync(`${containerd.bundle(id, 'k8s.io')}/init.pid`, 'utf8'));
const pidNamespace = (pid: number): string => readlinkSync(`/proc/${pid}/ns/pid`);
const sleeper = ['/bin/sh', '-c', 'echo up; exec sleep 100000'];

async function nothingLeft(): Promise<void> {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
  await until(
    'the last bundle to go',
    () => readdirSync(`${containerd.state}/io.containerd.runtime.v2.task/k8s.io`).length === 0,
  );
  await until(
    'the last mount to go',
    () => !readFileSync('/proc/self/mountinfo', 'utf8').includes(`${containerd.state}/io.containerd.runtime`),
  );
}

for (const [what, mode] of [
  ['its own pid namespace for each container', NAMESPACE.CONTAINER],
  ['one pid namespace', NAMESPACE.POD],
  ["the host's pid namespace", NAMESPACE.NODE],
] as const) {
  test(`a pod with ${what}: one shim, exec, logs, exits, and nothing left`, async () => {
    const config = podConfig(`pod-${mode}`, join(containerd.dir, `logs-${mode}`), mode);
    const pod = await cri.runPod(config);
    const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
    const b = await cri.run(pod, config, IMAGE, 'b', ['/bin/sh', '-c', 'echo to the log; sleep 100000 & exit 9']);
    // A container that has ended is deleted at once, by a short-lived process of the shim's.
    await until('one shim for the pod', async () => (await containerd.shimPids()).length === 1);
    const shared = pidNamespace(init(a)) === pidNamespace(init(pod));
    assert.equal(shared, mode !== NAMESPACE.CONTAINER);
    assert.equal(pidNamespace(init(a)) === pidNamespace(process.pid), mode === NAMESPACE.NODE);

    const ended = await until('the exit of b', async () => {
      const status = await cri.status(b);
      return status.state === CONTAINER_EXITED && status;
    });
    assert.equal(ended.exit_code, 9);
    await until('the log of b', () =>
      readFileSync(join(config.log_directory, 'b.log'), 'utf8').includes('stdout F to the log'),
    );
    assert.deepEqual(await cri.exec(a, ['/bin/sh', '-c', 'echo in a; exit 4']), { stdout: 'in a\n', exitCode: 4 });

    await cri.remove(b);
    await cri.stop(a);
    assert.equal((await cri.status(a)).exit_code, 137);
    await cri.remove(a);
    const c = await cri.run(pod, config, IMAGE, 'c', sleeper);
    const pids = [init(pod), init(c)];
    await cri.stopPod(pod);
    await cri.removePod(pod);
    await until('all processes to go', () => pids.every((pid) => !isAlive(pid)));
    await nothingLeft();
  });
}

test('containerd is killed and comes back: the pod is the same, and takes a container more', async () => {
  const config = podConfig('survivor', join(containerd.dir, 'logs-survivor'), NAMESPACE.POD);
  const pod = await cri.runPod(config);
  const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
  const shims = await containerd.shimPids();
  assert.equal(shims.length, 1);
  const pid = init(a);
  cri.close();
  await containerd.stop('SIGKILL');
  await containerd.start();
  cri = new Cri(containerd.socket);
  assert.deepEqual(await containerd.shimPids(), shims);
  assert.equal((await cri.exec(a, ['/bin/echo', 'still here'])).stdout, 'still here\n');
  const b = await cri.run(pod, config, IMAGE, 'b', sleeper);
  assert.deepEqual(await containerd.shimPids(), shims);
  assert.equal(pidNamespace(init(b)), pidNamespace(pid));
  await cri.stopPod(pod);
  await cri.removePod(pod);
  await nothingLeft();
});

test('the shim is killed: kubelet sees that its containers have ended, and can remove the pod', async () => {
  const config = podConfig('hit', join(containerd.dir, 'logs-hit'), NAMESPACE.POD);
  const pod = await cri.runPod(config);
  const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
  const pids = [init(pod), init(a)];
  const [shim] = await containerd.shimPids();
  process.kill(shim!, 'SIGKILL');
  await until('the exit of a', async () => (await cri.status(a)).state === CONTAINER_EXITED);
  await until('the processes to go', () => pids.every((pid) => !isAlive(pid)));
  await cri.stopPod(pod);
  // containerd 2 may still hold the connection that broke, whichever shim it was; kubelet tries again.
  await until('the pod to be removed', () =>
    cri.removePod(pod).then(
      () => true,
      (error: Error) => {
        assert.match(error.message, /ttrpc: closed/);
        return false;
      },
    ),
  );
  await nothingLeft();
});

test('a runtime of another name has its options in a file of TOML, and they hold for the whole pod', async () => {
  const config = podConfig('mine', join(containerd.dir, 'logs-mine'), NAMESPACE.POD);
  const pod = await cri.runPod(config, 'mine');
  const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
  assert.deepEqual(readdirSync(join(containerd.dir, 'my-root/k8s.io')).sort(), [pod, a].sort());
  await cri.stopPod(pod);
  await cri.removePod(pod);
  await nothingLeft();
  // What the runtime can do is asked without a root: containerd 2.3 wants to know it when it starts.
  const calls = readFileSync(join(containerd.dir, 'calls'), 'utf8')
    .trim()
    .split('\n')
    .filter((line) => line !== 'features');
  assert.ok(
    calls.every((line) => line.startsWith(`--root ${containerd.dir}/my-root/k8s.io `)),
    calls.join('\n'),
  );
  for (const command of ['create', 'start', 'kill', 'delete'])
    assert.ok(
      calls.some((line) => line.includes(` ${command} `)),
      command,
    );
});
