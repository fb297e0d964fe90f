/**
 * Pods by containerd's CRI plugin with `SystemdCgroup = true`, as kubelet has it by default: of the Go shim, and of ours as a runtime class beside it,
 * by what `hawser shim enable --runtime-class` writes.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  CONTAINER_EXITED,
  Cri,
  NAMESPACE,
  podConfig,
  withUsers,
  type ContainerStatus,
  type PodConfig,
} from '../support/cri.js';
import { eventually } from '../support/eventually.js';
import {
  BOX,
  IMAGE,
  ok,
  OURS,
  property,
  run,
  scopes,
  shimOfPid,
  SHIMS,
  systemctl,
  useShim,
  type ShimKind,
} from './system.js';

const SOCKET = '/run/containerd/containerd.sock';
const CONFIG = '/etc/containerd/config.toml';
const PAUSE = 'docker.io/library/pause:latest';
const BUNDLES = '/run/containerd/io.containerd.runtime.v2.task/k8s.io';
const LOGS = '/var/log/pods';
const RUNC_STATE = '/run/containerd/runc/k8s.io';
const SLOW_MS = 60_000;
/** The runtime class that gets each shim: the default one, and that of enable. */
const HANDLER: Record<ShimKind, string> = { go: '', hawser: 'hawser' };
const sleeper = ['/bin/sh', '-c', 'echo up; exec sleep 100000'];

const original = readFileSync(CONFIG, 'utf8');
/** As a node has it that kubelet uses with its defaults: https://kubernetes.io/docs/setup/production-environment/container-runtimes */
const NODE = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
`;
/** For a pod with a network of its own. */
const NETWORK = '/etc/cni/net.d/10-pods.conflist';
const BRIDGE = {
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [{ type: 'bridge', bridge: 'pods0', ipam: { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]] } }],
};
/** The first of the host's ids that a pod with a user namespace has. */
const FIRST_ID = 131072;
let cri: Cri;

before(async () => {
  await useShim('go');
  ok('sh', '-c', `tar -C ${BOX} -c . | docker import -c 'CMD ["/bin/sleep", "100000"]' - pause`);
  ok('sh', '-c', `docker save ${IMAGE} pause | ctr -n k8s.io images import -`);
  writeFileSync(CONFIG, NODE);
  mkdirSync('/etc/cni/net.d', { recursive: true });
  writeFileSync(NETWORK, JSON.stringify(BRIDGE));
  console.log(`# ${ok('hawser', 'shim', 'enable', '--runtime-class', 'hawser').replaceAll('\n', '\n# ')}`);
  systemctl('restart', 'containerd');
  cri = new Cri(SOCKET);
});

after(() => {
  cri.close();
  ok('hawser', 'shim', 'disable');
  writeFileSync(CONFIG, original);
  rmSync(NETWORK);
  systemctl('restart', 'containerd');
});

const init = (id: string): number => Number(readFileSync(`${BUNDLES}/${id}/init.pid`, 'utf8'));
const scope = (id: string): string => `cri-containerd-${id}.scope`;
/** The slice of a pod of the class best effort, as kubelet names it: a hyphen would be one more slice around it. */
const sliceOf = (uid: string): string => `kubepods-besteffort-pod${uid.replaceAll('-', '_')}.slice`;
const cgroup = (id: string): string => `/sys/fs/cgroup${property(scope(id), 'ControlGroup')}`;

function podOf(name: string): PodConfig {
  const slice = sliceOf(`uid-${name}`);
  return podConfig(name, `${LOGS}/${name}`, NAMESPACE.CONTAINER, `/kubepods.slice/kubepods-besteffort.slice/${slice}`);
}

async function exitOf(id: string): Promise<ContainerStatus> {
  return eventually(
    `the exit of ${id}`,
    async () => {
      const status = await cri.status(id);
      return status.state === CONTAINER_EXITED ? status : undefined;
    },
    SLOW_MS,
  );
}

const entries = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

/** Of pods there is nothing, with containerd, runc, systemd or the kernel. */
async function nothingLeft(pids: readonly number[]): Promise<void> {
  await eventually('processes are gone', () => pids.every((pid) => !existsSync(`/proc/${pid}`)), SLOW_MS);
  await eventually('scopes are gone', () => scopes().length === 0, SLOW_MS);
  await eventually('bundles are gone', () => entries(BUNDLES).length === 0, SLOW_MS);
  assert.deepEqual(entries(RUNC_STATE), []);
  assert.deepEqual(
    entries('/run/systemd/transient').filter((name) => name.startsWith('cri-containerd-')),
    [],
  );
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'latin1'), /io\.containerd\.runtime\.v2\.task\/k8s\.io/);
}

for (const kind of SHIMS)
  describe(`pods with ${kind}'s shim`, () => {
    test('two containers: a scope each in the slice of the pod, stats, exec, exits, and nothing left', async () => {
      const config = podOf(`${kind}-two`);
      const pod = await cri.runPod(config, HANDLER[kind]);
      const a = await cri.run(pod, config, IMAGE, 'a', sleeper, 64 << 20);
      const b = await cri.run(pod, config, IMAGE, 'b', ['/bin/sh', '-c', 'echo to the log; exit 9']);
      const pids = [init(pod), init(a)];
      assert.deepEqual(pids.map(shimOfPid), [kind, kind]);
      assert.match(cgroup(a), new RegExp(`/kubepods\\.slice/kubepods-besteffort\\.slice/[^/]+/${scope(a)}$`));
      assert.deepEqual(
        [readFileSync(`${cgroup(a)}/memory.max`, 'utf8').trim(), property(scope(a), 'MemoryMax')],
        [String(64 << 20), String(64 << 20)],
      );
      assert.equal((await exitOf(b)).exit_code, 9);
      await eventually('the log of b', () => readFileSync(`${LOGS}/${kind}-two/b.log`, 'utf8').includes('to the log'));
      assert.deepEqual(await cri.exec(a, ['/bin/sh', '-c', 'echo in a; exit 4']), { stdout: 'in a\n', exitCode: 4 });
      const { cpu, memory } = await cri.stats(a);
      const current = Number(readFileSync(`${cgroup(a)}/memory.current`, 'utf8'));
      assert.ok(cpu.usage_core_nano_seconds.value > 0);
      assert.ok(memory.working_set_bytes.value > 0 && memory.working_set_bytes.value < 2 * current + (1 << 20));
      await cri.remove(b);
      await cri.stop(a);
      assert.equal((await cri.status(a)).exit_code, 137);
      await cri.stopPod(pod);
      await cri.removePod(pod);
      await nothingLeft(pids);
    });

    test('a pod with a user namespace: its root is nobody on the host; exec, output, an exit, and nothing left', async () => {
      const config = withUsers(podOf(`${kind}-users`), FIRST_ID);
      const pod = await cri.runPod(config, HANDLER[kind]);
      const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
      const mapOf = (id: string): string =>
        readFileSync(`/proc/${init(id)}/uid_map`, 'latin1')
          .trim()
          .replaceAll(/ +/g, ' ');
      assert.deepEqual([mapOf(pod), mapOf(a)], Array(2).fill(`0 ${FIRST_ID} 65536`));
      assert.match(readFileSync(`/proc/${init(a)}/status`, 'latin1'), new RegExp(`^Uid:\\s+${FIRST_ID}\\b`, 'm'));
      assert.equal((await cri.exec(a, ['/bin/id', '-u'])).stdout, '0\n');
      const written = await cri.exec(a, ['/bin/sh', '-c', 'touch /tmp/mine && ls -ln /tmp/mine']);
      assert.match(written.stdout, /^-rw-r--r-- +1 +0 +0 /);
      await eventually('its log', () => /stdout F up$/m.test(readFileSync(`${LOGS}/${kind}-users/a.log`, 'utf8')));
      const b = await cri.run(pod, config, IMAGE, 'b', ['/bin/sh', '-c', 'exit 7']);
      assert.equal((await exitOf(b)).exit_code, 7);
      const pids = [pod, a].map(init);
      await cri.stopPod(pod);
      await cri.removePod(pod);
      await nothingLeft(pids);
    });

    test('what the kernel kills for want of memory is told as that', async () => {
      const config = podOf(`${kind}-oom`);
      const pod = await cri.runPod(config, HANDLER[kind]);
      const greedy = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'];
      const reasons: string[] = [];
      for (const name of ['one', 'two']) {
        const id = await cri.run(pod, config, IMAGE, name, greedy, 24 << 20);
        const { exit_code, reason } = await exitOf(id);
        reasons.push(`${exit_code} ${reason}`);
      }
      console.log(`# ${kind}: ${reasons.join(', ')}`);
      // The Go shim's event may come after the exit.
      if (kind === 'hawser') assert.deepEqual(reasons, ['137 OOMKilled', '137 OOMKilled']);
      const pids = [init(pod)];
      await cri.stopPod(pod);
      await cri.removePod(pod);
      await nothingLeft(pids);
    });

    test('containerd restarts: the pod goes on, and takes a container more', async () => {
      const config = podOf(`${kind}-stays`);
      const pod = await cri.runPod(config, HANDLER[kind]);
      const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
      cri.close();
      systemctl('restart', 'containerd');
      cri = new Cri(SOCKET);
      assert.equal((await cri.exec(a, ['/bin/echo', 'there'])).stdout, 'there\n');
      const b = await cri.run(pod, config, IMAGE, 'b', sleeper);
      const pids = [pod, a, b].map(init);
      assert.deepEqual(pids.map(shimOfPid), [kind, kind, kind]);
      await cri.stopPod(pod);
      await cri.removePod(pod);
      await nothingLeft(pids);
    });
  });

/** How often the shim of a pod has run a command of runc's. */
function commands(pod: string, name: string): number {
  const metrics = ok(OURS, '-namespace', 'k8s.io', '-id', pod, 'debug', 'metrics');
  return Number(new RegExp(`runtime_commands_total\\{.*command="${name}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
}

for (const kind of SHIMS)
  test(`${kind}: where systemd has ended the scope, Delete leaves nothing`, async () => {
    const config = podOf(`${kind}-short`);
    const pod = await cri.runPod(config, HANDLER[kind]);
    const count = 6;
    for (let one = 0; one < count; one++) {
      const id = await cri.run(pod, config, IMAGE, `short-${one}`, ['/bin/sh', '-c', 'exit 3']);
      assert.equal((await exitOf(id)).exit_code, 3);
      await eventually('its task is deleted', () => !existsSync(`${BUNDLES}/${id}`), SLOW_MS);
      assert.ok(!existsSync(`${RUNC_STATE}/${id}`));
      await cri.remove(id);
    }
    if (kind === 'hawser') {
      // One that systemd is slow to end is runc's.
      const ran = commands(pod, 'delete');
      console.log(`# of ${count} containers runc has deleted ${ran}`);
      assert.equal(commands(pod, 'create'), count + 1);
      assert.ok(ran < count);
    }
    const pids = [init(pod)];
    await cri.stopPod(pod);
    await cri.removePod(pod);
    await nothingLeft(pids);
  });

test(
  'back to the Go shim: a pod that runs can be upgraded, used, stopped and removed after disable',
  { skip: !SHIMS.includes('hawser') },
  async () => {
    const config = podOf('back');
    const pod = await cri.runPod(config, 'hawser');
    const a = await cri.run(pod, config, IMAGE, 'a', sleeper);
    const upgraded = run(['hawser', 'shim', 'upgrade', '--all', '--namespace', 'k8s.io']);
    assert.match(upgraded.stdout, new RegExp(`k8s\\.io/${pod}: runs .* already`));
    assert.equal(upgraded.status, 0, upgraded.stderr);
    ok('hawser', 'shim', 'disable');
    assert.equal(readFileSync(CONFIG, 'utf8'), NODE, 'disable has left something');
    cri.close();
    systemctl('restart', 'containerd');
    cri = new Cri(SOCKET);
    assert.equal((await cri.exec(a, ['/bin/echo', 'there'])).stdout, 'there\n');
    // containerd knows its handler no more.
    await assert.rejects(cri.run(pod, config, IMAGE, 'b', sleeper), /hawser/);
    const pids = [pod, a].map(init);
    await cri.stopPod(pod);
    await cri.removePod(pod);
    await nothingLeft(pids);
  },
);
