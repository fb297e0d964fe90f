/** The configurations of the Kubernetes page: real containerds read them, and their CRI plugin runs a pod by them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse as parseYaml, parseAllDocuments } from 'yaml';
import { isHawsers } from '../../src/cli/shim/find.js';
import { Cri, NAMESPACE, podConfig } from '../support/cri.js';
import { Containerd, makeImage, shimDir, top, until } from '../support/daemons.js';
import { samplesOf } from '../support/samples.js';

const IMAGE = 'docker.io/library/busybox:cri-docs';
const page = samplesOf(top, 'src/docs/kubernetes.md');
const sample = (name: string): string => page.find(({ file }) => file === name)!.code;

function newContainerd(): [string, string] {
  const [, , dir] = execFileSync('sh', [join(top, 'test/support/packages.sh'), 'containerd@forky'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
    .trim()
    .split(' ');
  return [join(dir!, 'containerd'), join(dir!, 'ctr')];
}

const V2 = (dir: string): string => `version = 2
[grpc]
  address = "${dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${dir}/cni"
    conf_dir = "${dir}/cni"
`;
const V3 = (dir: string): string => `version = 3
[grpc]
  address = "${dir}/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["${dir}/cni"]
    conf_dir = "${dir}/cni"
[plugins.'io.containerd.grpc.v1.cri']
  stream_server_port = "0"
`;

/** The sample, with what only a real node has in another place: the shim, systemd, and the file with the options. */
function adapted(name: string, dir: string, shim: string): string {
  let text = sample(name);
  const here = [
    ['"/usr/local/lib/hawser/bin/containerd-shim-runc-v2"', JSON.stringify(shim)],
    ['/etc/containerd/hawser-options.toml', join(dir, 'options.toml')],
  ] as const;
  const found = here.filter(([there]) => text.includes(there));
  assert.equal(found.length, 1, `${name} says where neither the shim nor its options are`);
  for (const [there, place] of found) text = text.replace(there, place);
  assert.ok(text.includes('SystemdCgroup = true'));
  return text.replaceAll('SystemdCgroup = true', 'SystemdCgroup = false');
}

const cases = [
  // containerd 1 replaces whole sections by those of a drop-in, so there it goes into the file itself, as the page says.
  {
    name: 'containerd 1',
    file: 'conf.d/hawser-v2.toml',
    base: V2,
    programs: (): [string?, string?] => [],
    dropIn: false,
  },
  {
    name: 'containerd 2',
    file: 'conf.d/hawser-v3.toml',
    base: V3,
    programs: (): [string?, string?] => newContainerd(),
    dropIn: true,
  },
];

for (const { name, file, base, programs, dropIn } of cases) {
  test(`${name} runs a pod of the runtime class`, { timeout: 150_000 }, async () => {
    const shims = mkdtempSync(join(tmpdir(), 'hawser-shims-'));
    // By another path than PATH would lead to, so that it is the sample that is seen to work.
    const chosen = join(shims, 'chosen');
    mkdirSync(chosen);
    symlinkSync(join(shimDir, 'containerd-shim-runc-v2'), join(chosen, 'containerd-shim-runc-v2'));
    symlinkSync('/usr/bin/containerd-shim-runc-v2', join(shims, 'containerd-shim-runc-v2'));
    if (!dropIn) symlinkSync('chosen/containerd-shim-runc-v2', join(shims, 'containerd-shim-hawser-v2'));
    const containerd = new Containerd(shims, ...programs());
    let cri: Cri | undefined;
    try {
      const more = adapted(file, containerd.dir, join(chosen, 'containerd-shim-runc-v2'));
      writeFileSync(join(containerd.dir, 'options.toml'), `Root = "${containerd.dir}/runc"\n`);
      const root = `root = "${containerd.root}"\nstate = "${containerd.state}"\n`;
      mkdirSync(join(containerd.dir, 'conf.d'));
      if (dropIn) writeFileSync(join(containerd.dir, 'conf.d/hawser.toml'), more);
      const [head = '', ...rest] = base(containerd.dir).split('\n');
      const imports = dropIn ? `imports = ["${containerd.dir}/conf.d/*.toml"]\n` : '';
      const body = rest.join('\n') + (dropIn ? '' : more.replace(/^version.*$/m, ''));
      writeFileSync(join(containerd.dir, 'config.toml'), `${head}\n${imports}${root}${body}`);
      await containerd.start();
      await containerd.ctr([
        '-n',
        'k8s.io',
        'images',
        'import',
        await makeImage(containerd.dir, containerd.rootfs, IMAGE, ['/bin/sleep', '100000']),
      ]);
      cri = new Cri(containerd.socket);
      const config = podConfig('docs', join(containerd.dir, 'logs'), NAMESPACE.POD);
      const pod = await cri.runPod(config, 'hawser');
      const a = await cri.run(pod, config, IMAGE, 'a', ['/bin/sh', '-c', 'echo hello; exec sleep 100000']);
      const [shim] = await containerd.shimPids();
      assert.ok(isHawsers(shim!), 'the shim is ours');
      assert.equal((await cri.exec(a, ['/bin/echo', 'in it'])).stdout, 'in it\n');
      if (!dropIn) assert.ok(existsSync(join(containerd.dir, 'runc/k8s.io', a)), 'the options do not hold');
      await until('the log', () => readFileSync(join(config.log_directory, 'a.log'), 'utf8').includes('hello'));
      await cri.stopPod(pod);
      await cri.removePod(pod);
      await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
    } finally {
      cri?.close();
      await containerd.cleanUp();
      rmSync(shims, { recursive: true });
    }
  });
}

test('the runtime class has the name that containerd knows, and the pod asks for it', () => {
  const runtimeClass = parseYaml(sample('runtime-class.yaml')) as {
    kind: string;
    metadata: { name: string };
    handler: string;
  };
  const pod = parseYaml(sample('pod.yaml')) as { kind: string; spec: { runtimeClassName: string } };
  assert.equal(runtimeClass.kind, 'RuntimeClass');
  assert.equal(pod.spec.runtimeClassName, runtimeClass.metadata.name);
  for (const name of ['conf.d/hawser-v2.toml', 'conf.d/hawser-v3.toml'])
    assert.match(sample(name), new RegExp(`runtimes\\.${runtimeClass.handler}\\]`));
});

interface DaemonSet {
  spec: {
    selector: { matchLabels: object };
    template: {
      metadata: { labels: object };
      spec: {
        hostPID: boolean;
        initContainers: {
          command: string[];
          securityContext: object;
          volumeMounts: { name: string; mountPath: string }[];
        }[];
        volumes: ({ name: string } & Record<string, { path?: string; name?: string }>)[];
      };
    };
  };
}

test("the DaemonSet's script installs, enables, restarts containerd only when its configuration has changed, and upgrades", (t) => {
  const [configMap, daemonSet] = parseAllDocuments(sample('daemon-set.yaml')).map((one) => one.toJS() as unknown) as [
    { metadata: { name: string }; data: { 'node.sh': string } },
    DaemonSet,
  ];
  const { selector, template } = daemonSet.spec;
  assert.deepEqual(selector.matchLabels, template.metadata.labels);
  const [install] = template.spec.initContainers;
  assert.deepEqual(install!.securityContext, { privileged: true });
  assert.equal(template.spec.hostPID, true);
  assert.deepEqual(
    install!.volumeMounts.map(({ name }) => name),
    template.spec.volumes.map(({ name }) => name),
  );
  assert.equal(template.spec.volumes[1]!.configMap!.name, configMap.metadata.name);

  const dir = mkdtempSync(join(tmpdir(), 'hawser-node-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const stub = (name: string, more = ''): void =>
    writeFileSync(join(dir, name), `#!/bin/sh\necho "\${0##*/} $*" >>"${dir}/calls"\n${more}`, { mode: 0o755 });
  for (const name of ['host', 'image/hawser-0.1.0-linux-amd64', 'scripts'])
    mkdirSync(join(dir, name), { recursive: true });
  stub('image/hawser-0.1.0-linux-amd64/install.sh');
  stub('systemctl');
  writeFileSync(join(dir, 'scripts/node.sh'), configMap.data['node.sh'].replace('PATH=/usr/local/sbin', `PATH=${dir}`));
  // nsenter only changes where it runs.
  writeFileSync(join(dir, 'nsenter'), '#!/bin/sh\nshift 4\nexec "$@"\n', { mode: 0o755 });
  const [shell = '', flags = '', script = ''] = install!.command;
  const here = script
    .replaceAll(template.spec.volumes[0]!.hostPath!.path!, join(dir, 'host'))
    .replaceAll(' /hawser-', ` ${dir}/image/hawser-`)
    .replaceAll('/scripts/', `${dir}/scripts/`)
    .replaceAll(' /host/', ` ${dir}/host/`);
  const calls = (said: string, status = 0): string[] => {
    stub('hawser', `case $2 in enable) echo "${said}"; exit ${status};; upgrade) exit 1;; esac\n`);
    rmSync(join(dir, 'calls'), { force: true });
    const done = spawnSync(shell, [flags, here], { env: { PATH: `${dir}:${process.env.PATH}` }, encoding: 'utf8' });
    assert.equal(done.status, status, done.stderr);
    return readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n');
  };
  const enable = ['install.sh ', 'hawser shim enable --runtime-class hawser'];
  const upgrade = 'hawser shim upgrade --all --namespace k8s.io';
  assert.deepEqual(calls('wrote /etc/containerd/config.toml'), [...enable, 'systemctl restart containerd', upgrade]);
  assert.deepEqual(calls('Nothing to do: it is enabled already.'), [...enable, upgrade]);
  assert.deepEqual(calls('', 1), enable);
});
