/**
 * `hawser shim enable` and `disable` with real containerds: what is written below a root is what they are started with, and each
 * container's shim is looked at.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execa } from 'execa';
import { Cri, NAMESPACE, podConfig } from '../support/cri.js';
import { isHawsers } from '../../src/cli/shim/find.js';
import {
  Containerd,
  makeImage,
  onHawserd,
  shimDir,
  stockDir,
  temporaryDirectory,
  top,
  until,
  warnings,
} from '../support/daemons.js';
import { runtimePath } from '../support/runtime.js';

const HAWSER = join(top, 'bin/hawser');
const IMAGE = 'docker.io/library/busybox:enable';
const skip = onHawserd && 'hawserd has its own shim, whatever PATH has';

async function hawser(root: string, ...args: string[]): Promise<string> {
  return (await execa(HAWSER, ['shim', ...args, '--root', root], { stdin: 'ignore' })).stdout;
}

/** Whose shim a container has, which is the only one of its daemon. */
async function shimOf(containerd: Containerd): Promise<'ours' | "Go's"> {
  const pids = await containerd.shimPids();
  assert.equal(pids.length, 1);
  return isHawsers(pids[0]!) ? 'ours' : "Go's";
}

test(
  'a drop-in of systemd: containerd, started with its PATH, has our shim, and Go’s without it',
  { skip },
  async () => {
    const root = temporaryDirectory('enable-path');
    const containerd = new Containerd(shimDir);
    const units = join(root, 'lib/systemd/system');
    const dropIn = join(root, 'etc/systemd/system/containerd.service.d/zz-hawser.conf');
    const unit = `[Service]\nExecStart=/usr/bin/containerd\nKillMode=process\nEnvironment="PATH=${stockDir}:/usr/sbin:/usr/bin:/sbin:/bin"\n`;
    mkdirSync(units, { recursive: true });
    writeFileSync(join(units, 'containerd.service'), unit);
    /** As systemd gives it: the last assignment counts. */
    const startWithPath = async (...files: string[]): Promise<void> => {
      const paths = files.flatMap(
        (file) => /^Environment="?PATH=([^"\n]+)/m.exec(readFileSync(file, 'utf8'))?.[1] ?? [],
      );
      (containerd as { path: string }).path = runtimePath(containerd.dir, paths.at(-1)!.split(':'));
      await containerd.start();
    };
    const run = async (id: string): Promise<'ours' | "Go's"> => {
      await containerd.ctr(['run', '-d', '--rootfs', containerd.rootfs, id, '/bin/sleep', '1000']);
      const found = await shimOf(containerd);
      await containerd.ctr(['task', 'kill', '-s', 'KILL', id]);
      await containerd.ctr(['task', 'delete', id], { reject: false });
      await containerd.ctr(['container', 'delete', id]);
      await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
      return found;
    };
    try {
      const said = await hawser(root, 'enable');
      assert.match(said, /systemctl daemon-reload\n {2}systemctl restart containerd$/);
      assert.match(await hawser(root, 'enable'), /^Nothing to do/);
      assert.match(
        await hawser(root, 'status'),
        new RegExp(`containerd.service +its next start finds Hawser's, ${shimDir}`),
      );
      await startWithPath(join(units, 'containerd.service'), dropIn);
      assert.equal(await run('enabled'), 'ours');
      await containerd.stop();

      await hawser(root, 'disable');
      assert.match(await hawser(root, 'disable'), /^Nothing to do/);
      await startWithPath(join(units, 'containerd.service'));
      assert.equal(await run('disabled'), "Go's");
      assert.deepEqual(
        warnings(containerd.logText()).filter((line) => /level=(error|fatal)/.test(line)),
        [],
      );
    } finally {
      await containerd.cleanUp();
      rmSync(root, { recursive: true });
    }
  },
);

function packageOf(name: string): [string, string] {
  const [, , dir] = execFileSync('sh', [join(top, 'test/support/packages.sh'), name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
    .trim()
    .split(' ');
  return [join(dir!, 'containerd'), join(dir!, 'ctr')];
}

const head = (version: number, dir: string): string => `version = ${version}
root = "${dir}/root"
state = "${dir}/state"
[grpc]
  address = "${dir}/containerd.sock"
`;
const V2 = (dir: string): string => `${head(2, dir)}[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${dir}/cni"
    conf_dir = "${dir}/cni"
`;
/** Options of the default runtime, which ours is to have as well. */
const OPTIONS = (dir: string): string => `  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "${dir}/runc"`;
const V3 = (
  dir: string,
): string => `imports = ["/conf.d/*.toml"]\n${head(3, dir)}[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["${dir}/cni"]
    conf_dir = "${dir}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    Root = "${dir}/runc"
[plugins.'io.containerd.grpc.v1.cri']
  stream_server_port = "0"
`;

for (const [name, programs, config, file] of [
  ["this machine's containerd", (): [string?, string?] => [], (dir: string) => V2(dir), 'config.toml'],
  [
    'containerd 1.7',
    (): [string?, string?] => packageOf('containerd@trixie'),
    (dir: string) => V2(dir) + OPTIONS(dir),
    'config.toml',
  ],
  ['containerd 2.1', (): [string?, string?] => packageOf('containerd@forky'), V3, 'conf.d/hawser-box.toml'],
] as const) {
  test(`${name} runs pods of a runtime class in our shim, and others in Go's`, { skip, timeout: 200_000 }, async () => {
    const containerd = new Containerd(stockDir, ...programs());
    const { dir } = containerd;
    const options = config(dir).includes('Root =');
    const configFile = join(dir, 'config.toml');
    /** Has what is written for / found here: what is imported, and the options. */
    const adapt = (): void => {
      for (const one of [configFile, join(dir, file)].filter((path) => existsSync(path))) {
        const text = readFileSync(one, 'utf8');
        writeFileSync(one, text.replace(/"(\/conf\.d|\/etc\/hawser)/g, `"${dir}$1`));
      }
    };
    let cri: Cri | undefined;
    const pod = async (id: string, handler: string): Promise<'ours' | "Go's"> => {
      const settings = podConfig(id, join(dir, 'logs'), NAMESPACE.POD);
      const sandbox = await cri!.runPod(settings, handler);
      const container = await cri!.run(sandbox, settings, IMAGE, 'a', ['/bin/sh', '-c', 'exec sleep 100000']);
      const found = await shimOf(containerd);
      assert.equal((await cri!.exec(container, ['/bin/echo', 'in it'])).stdout, 'in it\n');
      if (options) assert.ok(readFileSync(join(dir, 'runc/k8s.io', container, 'state.json')).length > 0);
      await cri!.stopPod(sandbox);
      await cri!.removePod(sandbox);
      await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
      return found;
    };
    const start = async (): Promise<void> => {
      await containerd.start();
      cri = new Cri(containerd.socket);
    };
    const stop = async (): Promise<void> => {
      cri?.close();
      await containerd.stop();
    };
    try {
      mkdirSync(join(dir, 'lib/systemd/system'), { recursive: true });
      mkdirSync(join(dir, 'usr/bin'), { recursive: true });
      symlinkSync(
        execFileSync('sh', ['-c', 'command -v "$0"', containerd.daemonPath], { encoding: 'utf8' }).trim(),
        join(dir, 'usr/bin/containerd'),
      );
      writeFileSync(
        join(dir, 'lib/systemd/system/containerd.service'),
        '[Service]\nExecStart=/usr/bin/containerd --config=/config.toml\nKillMode=process\n',
      );
      writeFileSync(configFile, config(dir));
      const before = readFileSync(configFile, 'utf8');

      const said = await hawser(dir, 'enable', '--runtime-class', 'box');
      assert.ok(said.includes(`wrote ${join(dir, file)}\n`), said);
      assert.match(said, /It takes:\n {2}systemctl restart containerd$/);
      assert.match(await hawser(dir, 'enable', '--runtime-class', 'box'), /^Nothing to do/);
      assert.match(await hawser(dir, 'status'), /containerd's runtime box +\S+$/m);
      const kept = [configFile, join(dir, file)].map((one) => [one, readFileSync(one)] as const);
      adapt();
      await start();
      await containerd.ctr([
        '-n',
        'k8s.io',
        'images',
        'import',
        await makeImage(dir, containerd.rootfs, IMAGE, ['/bin/sleep', '100000']),
      ]);
      assert.equal(await pod('named', 'box'), 'ours');
      assert.equal(await pod('other', ''), "Go's");
      await stop();

      for (const [one, text] of kept) writeFileSync(one, text);
      await hawser(dir, 'disable');
      assert.equal(readFileSync(configFile, 'utf8'), before);
      adapt();
      await start();
      assert.equal(await pod('after', ''), "Go's");
      await assert.rejects(pod('none', 'box'), /no runtime for "box"/);
      assert.deepEqual(
        warnings(containerd.logText()).filter(
          (line) => /level=(error|fatal)/.test(line) && /shim|runtime/.test(line) && !line.includes('box'),
        ),
        [],
      );
    } finally {
      cri?.close();
      await containerd.cleanUp();
    }
  });
}
