/**
 * What dockerd says in a task's options, by its own configuration, and that it is heeded (contract §5.5). The shim
 * writes down what it was sent as options.json. Needs root.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, Dockerd, shimDir, type DockerdOptions } from '../support/daemons.js';

const IMAGE = 'busybox:test';
let containerd: Containerd;

before(async () => {
  containerd = await new Containerd(shimDir).start();
});

after(async () => {
  await containerd.cleanUp();
});

interface Sent {
  options: Record<string, unknown>;
  /** What the container printed, to its stdout by another name. */
  output: string;
  bundle: string;
  dockerd: Dockerd;
}

/** Runs a container under a dockerd of its own, and looks at its bundle. */
async function withContainer(
  flags: string[],
  run: string[],
  options: DockerdOptions,
  look: (sent: Sent) => void | Promise<void>,
): Promise<void> {
  const dockerd = await new Dockerd(containerd).start(flags, options);
  try {
    await dockerd.importImage(containerd.rootfs, IMAGE);
    const { stdout: id } = await dockerd.docker([
      'run',
      '-d',
      ...run,
      IMAGE,
      'sh',
      '-c',
      'echo to $(id -u) > /dev/stdout; exec sleep 1000',
    ]);
    const bundle = bundleOf(id.trim());
    const { stdout: output } = await dockerd.docker(['exec', id.trim(), 'echo', 'from exec']);
    assert.equal(output, 'from exec');
    const sent = JSON.parse(readFileSync(join(bundle, 'options.json'), 'utf8')) as Record<string, unknown>;
    assert.equal(readFileSync(join(bundle, 'runtime'), 'utf8'), sent.binary_name ?? '');
    await look({ options: sent, output: (await dockerd.docker(['logs', id.trim()])).stdout, bundle, dockerd });
  } finally {
    await dockerd.cleanUp();
  }
}

/** With mapped users, newer dockerds use a namespace of their own. */
function bundleOf(id: string): string {
  const namespaces = join(containerd.state, 'io.containerd.runtime.v2.task');
  const found = readdirSync(namespaces).find((namespace) => readdirSync(join(namespaces, namespace)).includes(id));
  assert.ok(found, `there is no bundle of ${id}`);
  return join(namespaces, found, id);
}

/** A runtime that writes down how it is called. */
function loggingRuntime(name: string): { path: string; calls: () => string[] } {
  const path = join(containerd.dir, name);
  writeFileSync(path, `#!/bin/sh\necho "$*" >> ${path}.log\nexec runc "$@"\n`, { mode: 0o755 });
  return { path, calls: () => readFileSync(`${path}.log`, 'utf8').split('\n') };
}

function configuration(content: object): string[] {
  const file = join(containerd.dir, 'daemon.json');
  writeFileSync(file, JSON.stringify(content));
  return ['--config-file', file];
}

test("by default: the name runc, and dockerd's own state directory", async () => {
  await withContainer([], [], {}, ({ options, output, bundle, dockerd }) => {
    const root = join(dockerd.dir, 'exec/runtime-runc');
    assert.deepEqual(options, { binary_name: 'runc', root });
    assert.ok(
      readdirSync(root)
        .flatMap((namespace) => readdirSync(join(root, namespace)))
        .some((id) => bundle.endsWith(id)),
      'runc keeps it there',
    );
    assert.equal(output, 'to 0');
  });
});

test('--add-runtime and --runtime: the path of that runtime', async () => {
  const runtime = loggingRuntime('added');
  await withContainer(['--add-runtime', `added=${runtime.path}`], ['--runtime', 'added'], {}, ({ options }) => {
    assert.equal(options.binary_name, runtime.path);
    assert.ok(
      runtime.calls().some((call) => call.includes(' create ') && call.startsWith(`--root ${String(options.root)}/`)),
      'it is called with that root',
    );
  });
});

test('a runtime with arguments: a program that dockerd makes, whatever its name', async () => {
  const runtime = loggingRuntime('argued');
  const flags = configuration({ runtimes: { argued: { path: runtime.path, runtimeArgs: ['--rootless=false'] } } });
  await withContainer(flags, ['--runtime', 'argued'], {}, ({ options }) => {
    assert.match(String(options.binary_name), /\/runtimes\/argued/);
    assert.ok(runtime.calls().some((call) => call.startsWith('--rootless=false --root ')));
  });
});

test('DOCKER_RAMDISK: no pivot_root', async () => {
  const runtime = loggingRuntime('unpivoted');
  await withContainer(
    ['--add-runtime', `unpivoted=${runtime.path}`],
    ['--runtime', 'unpivoted'],
    { env: { DOCKER_RAMDISK: 'true' } },
    ({ options }) => {
      assert.equal(options.no_pivot_root, true);
      assert.ok(runtime.calls().some((call) => / create .*--no-pivot /.test(call)));
    },
  );
});

test("--userns-remap: the container's root on the host owns its stdio", async () => {
  const files = {
    '/etc/subuid': 'nobody:200000:65536\n',
    '/etc/subgid': 'nobody:300000:65536\nnogroup:300000:65536\n',
  };
  await withContainer(['--userns-remap', '65534:65534'], [], { files }, ({ options, output, bundle }) => {
    assert.deepEqual([options.io_uid, options.io_gid], [200000, 300000]);
    assert.equal(output, 'to 0', 'it can open its stdout by name');
    assert.equal(statSync(`/proc/${readFileSync(join(bundle, 'init.pid'), 'utf8')}`).uid, 200000);
  });
});
