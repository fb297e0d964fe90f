/** Images from registries: a real one, and one that misbehaves as it is told. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import {
  AbortError,
  ClientError,
  Code,
  InvalidArgumentError,
  NotFoundError,
  type PullOptions,
  type PullProgress,
  type PushProgress,
} from '../../src/client/index.js';
import { ClientLab } from '../support/client-lab.js';
import { eventually } from '../support/eventually.js';
import { Registry } from '../support/registry.js';
import { digestOf, ScriptedRegistry, TYPE } from '../support/scripted-registry.js';

let lab: ClientLab;
let registry: ScriptedRegistry;
/** Layers: a root file system, and files on top of it. */
let layers: Buffer[];

before(async () => {
  lab = await ClientLab.open();
  registry = await ScriptedRegistry.start();
  layers = [tarOf(lab.daemon.rootfs), filler('one'), filler('two'), filler('three'), filler('four')];
});
after(async () => {
  await registry.stop();
  await lab.close();
});
afterEach(async () => {
  // What a test that failed has left.
  for (const { name } of await lab.client.images.list()) await lab.client.images.delete(name);
  registry.fault = () => undefined;
  registry.seen.length = 0;
});

function tarOf(dir: string): Buffer {
  return execFileSync('tar', ['-C', dir, '--sort=name', '-cf', '-', '.'], { maxBuffer: 64 << 20 });
}

/** A layer of one file, of about a megabyte that nothing can be made smaller of. */
function filler(name: string): Buffer {
  const dir = join(lab.daemon.dir, `filler-${name}`);
  mkdirSync(dir);
  writeFileSync(join(dir, name), randomBytes(1_000_000));
  return tarOf(dir);
}

/** As a test wants it: from the scripted registry, without files of this machine. */
function options(): Pick<PullOptions, 'hostsDir' | 'auth'>;
function options<T extends object>(more: T): Pick<PullOptions, 'hostsDir' | 'auth'> & T;
function options(more: object = {}): object {
  return { hostsDir: join(lab.daemon.dir, 'certs.d'), auth: () => undefined, ...more };
}

async function labelsOf(digest: string): Promise<Record<string, string>> {
  return (await lab.client.services.content.Info({ digest })).info?.labels ?? {};
}

async function remove(...names: string[]): Promise<void> {
  for (const name of names) await lab.client.images.delete(name);
  // An image that goes takes along what only it has.
  await eventually('the content to go', async () => {
    for await (const { info } of lab.client.services.content.List({})) if (info.length > 0) return false;
    return true;
  });
}

test('a real registry: fetched, marked for the collector, run', async () => {
  const real = await Registry.start();
  try {
    const gzipped = layers
      .slice(0, 2)
      .map((layer) => execFileSync('gzip', ['-c'], { input: layer, maxBuffer: 64 << 20 }));
    for (const layer of gzipped) await real.putBlob('some/box', layer);
    const config = Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        config: { Env: ['PATH=/bin'], Cmd: ['/bin/ls', '/one'] },
        rootfs: { type: 'layers', diff_ids: layers.slice(0, 2).map(digestOf) },
      }),
    );
    await real.putBlob('some/box', config);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: TYPE.manifest,
        config: { mediaType: TYPE.config, digest: digestOf(config), size: config.length },
        layers: gzipped.map((layer) => ({
          mediaType: `${TYPE.layer}+gzip`,
          digest: digestOf(layer),
          size: layer.length,
        })),
      }),
    );
    await real.putManifest('some/box', 'v1', TYPE.manifest, manifest);

    const name = `${real.host}/some/box:v1`;
    const steps: PullProgress[] = [];
    const image = await lab.client.images.pull(
      name,
      options({ progress: (progress: PullProgress) => steps.push(progress) }),
    );
    assert.deepEqual(
      [image.name, image.target.digest, image.target.mediaType],
      [name, digestOf(manifest), TYPE.manifest],
    );
    assert.deepEqual(
      steps
        .filter(({ step, at, total }) => step !== 'resolve' && at === total)
        .map(({ step }) => step)
        .sort(),
      ['done', 'fetch', 'fetch', 'fetch', 'unpack'],
    );
    for (const { what, total } of steps.filter(({ step }) => step === 'fetch')) {
      const of = steps.filter(({ step, what: other }) => step === 'fetch' && other === what).map(({ at }) => at);
      assert.deepEqual(
        of,
        [...of].sort((a, b) => a - b),
        what,
      );
      assert.deepEqual([of[0], of.at(-1)], [0, total]);
    }
    const source = { [`containerd.io/distribution.source.${real.host}`]: 'some/box' };
    const marks = await labelsOf(image.target.digest);
    assert.deepEqual(marks, {
      ...source,
      'containerd.io/gc.ref.content.config': digestOf(config),
      'containerd.io/gc.ref.content.l.0': digestOf(gzipped[0]!),
      'containerd.io/gc.ref.content.l.1': digestOf(gzipped[1]!),
    });
    assert.equal((await labelsOf(digestOf(gzipped[0]!)))['containerd.io/uncompressed'], digestOf(layers[0]!));
    assert.ok((await labelsOf(digestOf(config)))['containerd.io/gc.ref.snapshot.overlayfs']);

    const { container, process } = await lab.start([], { image: name, args: undefined, env: undefined });
    assert.equal((await process.result()).stdout, '/one\n');
    await container.delete({ kill: true });
    await assert.rejects(lab.client.images.pull(`${real.host}/some/box:v2`, options()), NotFoundError);
    await remove(name);
  } finally {
    await real.stop();
  }
  await lab.nothingLeft();
});

test('three blobs at a time, each once, whatever breaks', async () => {
  const { layers: described } = registry.putImage('box', 'latest', layers);
  // None is answered before there are three.
  let waiting = 0;
  let open = (): void => undefined;
  const three = new Promise<void>((resolve) => (open = resolve));
  registry.fault = ({ path, method }) => {
    if (!path.includes('/blobs/') || method !== 'GET') return undefined;
    if (++waiting === 3) open();
    return { until: three };
  };
  const image = await lab.client.images.pull(`${registry.host}/box`, options());
  assert.equal(registry.seen.filter(({ path }) => path.includes('/blobs/')).length, 6);
  registry.seen.length = 0;
  registry.fault = () => undefined;
  assert.equal((await lab.client.images.pull(`${registry.host}/box`, options())).target.digest, image.target.digest);
  assert.deepEqual(
    registry.seen.map(({ method, path }) => `${method} ${path}`),
    ['HEAD /v2/box/manifests/latest'],
    'what is there is left',
  );
  await remove(image.name);

  registry.seen.length = 0;
  const breaks = new Map(described.map(({ digest }) => [digest, 3]));
  registry.fault = ({ path }) => {
    const digest = path.slice(path.lastIndexOf('/') + 1);
    const left = breaks.get(digest) ?? 0;
    breaks.set(digest, left - 1);
    return left > 0 ? { cutAfter: 100_000 } : undefined;
  };
  await lab.client.images.pull(`${registry.host}/box`, options());
  assert.equal(registry.seen.filter(({ headers }) => headers.range !== undefined).length, 3 * described.length);
  await remove(image.name);
  await lab.nothingLeft();
});

test('given up in the middle: no image, and the next try goes on from there', async () => {
  const { layers: described } = registry.putImage('box', 'latest', layers.slice(1));
  const name = `${registry.host}/box:latest`;
  const [slow] = described;
  let asked = 0;
  registry.fault = ({ path }) => {
    if (!path.endsWith(slow!.digest)) return undefined;
    return asked++ === 0 ? { cutAfter: 700_000 } : { until: new Promise(() => undefined) };
  };
  const controller = new AbortController();
  const here = new Map<string, number>();
  const pulling = lab.client.images.pull(
    name,
    options({
      signal: controller.signal,
      progress: ({ step, what, at }: PullProgress) => void (step === 'fetch' && here.set(what, at)),
    }),
  );
  const outcome = assert.rejects(pulling, (error) => error instanceof AbortError && error.cause === 'enough');
  // What has come from the registry may still be on its way to the daemon, which goes on with it after an abort.
  await eventually('all but one to be there', async () => {
    const there = new Set<string>();
    for await (const { info } of lab.client.services.content.List({}))
      for (const { digest } of info) if (digest) there.add(digest);
    return described.slice(1).every(({ digest }) => there.has(digest)) && asked === 2;
  });
  for (const { digest, size } of described.slice(1)) assert.equal(here.get(digest), size);
  controller.abort('enough');
  await outcome;
  assert.deepEqual(await lab.client.images.list(), []);
  assert.equal((await lab.client.services.leases.List({})).leases.length, 1, 'what there is is kept for the next try');

  registry.seen.length = 0;
  registry.fault = () => undefined;
  await lab.client.images.pull(name, options());
  const again = registry.seen.filter(({ path }) => path.includes('/blobs/'));
  assert.equal(again.length, 1);
  assert.match(again[0]!.headers.range ?? '', /^bytes=[1-9]\d{4,}-$/);
  await remove(name);
  await lab.nothingLeft();
});

test('a layer that is not what its digest says', async () => {
  const { layers: described } = registry.putImage('box', 'latest', layers.slice(1, 3));
  const name = `${registry.host}/box:latest`;
  const [one] = described;
  registry.fault = ({ path }) => (path.endsWith(one!.digest) ? { lie: Buffer.alloc(one!.size, 1) } : undefined);
  await assert.rejects(
    lab.client.images.pull(name, options()),
    (error: ClientError) =>
      error.code === Code.DataLoss && error.message.includes(one!.digest) && error.message.includes(registry.host),
  );
  assert.deepEqual(await lab.client.images.list(), []);
  registry.fault = () => undefined;
  await lab.client.images.pull(name, options());
  await remove(name);
  await lab.nothingLeft();
});

test('an index: the platform of this machine, or the one that is asked for', async () => {
  const other = registry.putImage('box', undefined, layers.slice(1, 2), {
    architecture: 'arm64',
    config: { User: 'arm' },
  });
  const own = registry.putImage('box', undefined, layers.slice(2, 3), { config: { User: 'own' } });
  const index = registry.putIndex('box', 'both', [other.manifest, own.manifest]);
  const name = `${registry.host}/box:both`;
  const { images } = lab.client;
  assert.equal((await images.pull(name, options())).target.digest, index.digest);
  assert.equal((await images.config(name)).User, 'own');
  assert.equal(registry.requests(other.manifest.digest).length, 0);
  await images.pull(name, options({ platform: 'arm64/v8', unpack: false }));
  assert.equal((await images.config(name, { platform: 'linux/aarch64' })).User, 'arm');
  assert.deepEqual(
    Object.entries(await labelsOf(index.digest))
      .filter(([label]) => label.includes('.m.'))
      .sort(),
    [
      ['containerd.io/gc.ref.content.m.0', other.manifest.digest],
      ['containerd.io/gc.ref.content.m.1', own.manifest.digest],
    ],
  );
  await assert.rejects(
    images.pull(name, options({ platform: 'linux/s390x' })),
    (error: Error) =>
      error instanceof NotFoundError &&
      /has nothing for linux\/s390x, but for linux\/arm64, linux\/\w+/.test(error.message),
  );
  await assert.rejects(images.pull(name, options({ platform: 'a/b/c/d' })), InvalidArgumentError);
  await assert.rejects(images.pull('NO', options()), InvalidArgumentError);
  const byDigest = await images.pull(`${registry.host}/box@${own.manifest.digest}`, options());
  assert.equal(byDigest.target.digest, own.manifest.digest);
  // Of one for one platform only, another one is not here either.
  for (const call of ['config', 'unpack', 'inspect'] as const)
    await assert.rejects(
      images[call](byDigest.name, { platform: 'linux/s390x' }),
      (error: Error) => error instanceof NotFoundError && error.message.includes('nothing for linux/s390x, but for'),
    );
  registry.putImage('box', 'arm', layers.slice(1, 2), { architecture: 'arm64' });
  await assert.rejects(images.pull(`${registry.host}/box:arm`, options({ platform: 'linux/amd64' })), NotFoundError);
  await remove(name, byDigest.name);
  await lab.nothingLeft();
});

test('two at once, and another namespace: what is fetched once is there for all', async () => {
  registry.putImage('box', 'latest', layers);
  const [a, b] = await Promise.all(
    ['box:latest', 'box'].map((name) => lab.client.images.pull(`${registry.host}/${name}`, options())),
  );
  assert.equal(a?.target.digest, b?.target.digest);
  assert.equal(registry.seen.filter(({ path, method }) => path.includes('/blobs/') && method === 'GET').length, 6);
  registry.seen.length = 0;
  const other = lab.client.inNamespace(`${lab.namespace}-other`);
  const image = await other.images.pull(`${registry.host}/box`, options());
  assert.equal(registry.seen.filter(({ path }) => path.includes('/blobs/')).length, 0);
  await other.images.delete(image.name);
  for (const { id } of (await other.services.leases.List({})).leases) assert.fail(`lease ${id}`);
  // A tag that moves takes the name along.
  const moved = registry.putImage('box', 'latest', layers.slice(0, 1));
  assert.equal((await lab.client.images.pull(`${registry.host}/box`, options())).target.digest, moved.manifest.digest);
  await remove(image.name);
  await lab.nothingLeft();
  rmSync(join(lab.daemon.dir, 'certs.d'), { recursive: true, force: true });
});

test('pushed to a real registry, mounted from repository to repository, and pulled again', async () => {
  const real = await Registry.start();
  try {
    registry.putImage('box', 'latest', layers, { config: { Env: ['PATH=/bin'], Cmd: ['/bin/ls', '/two'] } });
    const { images } = lab.client;
    const { target } = await images.pull(`${registry.host}/box`, options());
    const first = await images.tag(`${registry.host}/box`, `${real.host}/a/box:v1`);
    assert.deepEqual(first.target, target);
    const steps: PushProgress[] = [];
    const pushed = await images.push(
      first.name,
      options({ progress: (progress: PushProgress) => steps.push(progress) }),
    );
    assert.deepEqual(pushed, { name: first.name, target });
    assert.equal(steps.filter(({ step, at, total }) => step === 'push' && at === total).length >= 6, true);

    const uploads = (): number => real.log.split('\n').filter((line) => /PUT .*\/blobs\/uploads\//.test(line)).length;
    const sent = uploads();
    assert.ok(sent >= 6, String(sent));
    await images.push(first.name, options());
    assert.equal(uploads(), sent, 'what is there is not sent');
    await images.push(first.name, options({ to: `${real.host}/b/other:v2` }));
    assert.equal(uploads(), sent, 'what another repository has is taken from there');
    await remove(`${registry.host}/box:latest`, first.name);

    const again = await images.pull(`${real.host}/b/other:v2`, options());
    assert.equal(again.target.digest, target.digest);
    const { container, process } = await lab.start([], { image: again.name, args: undefined, env: undefined });
    assert.equal((await process.result()).stdout, '/two\n');
    await container.delete({ kill: true });
    await remove(again.name);
    await assert.rejects(images.push('none', options()), NotFoundError);
  } finally {
    await real.stop();
  }
  await lab.nothingLeft();
});

test('an index of which a part is here: that part is pushed and saved', async () => {
  const real = await Registry.start();
  try {
    const { images } = lab.client;
    const other = registry.putImage('box', undefined, layers.slice(1, 2), {
      architecture: 'arm64',
      config: { User: 'arm' },
    });
    const own = registry.putImage('box', undefined, layers.slice(2, 3), { config: { User: 'own' } });
    const index = registry.putIndex('box', 'both', [other.manifest, own.manifest]);
    const name = `${registry.host}/box:both`;
    await images.pull(name, options());
    const to = `${real.host}/box:both`;
    assert.equal((await images.push(name, options({ to }))).target.digest, own.manifest.digest);
    await assert.rejects(images.push(name, options({ to, platform: 'arm64' })), NotFoundError);
    const archive = join(lab.daemon.dir, 'saved.tar');
    await writeFile(archive, images.save([name]));
    await images.pull(name, options({ platform: 'arm64', unpack: false }));
    assert.equal((await images.push(name, options({ to }))).target.digest, index.digest);
    await remove(name);

    const [loaded] = await images.import(archive);
    assert.deepEqual([loaded?.name, loaded?.target.digest], [name, index.digest]);
    assert.equal((await images.config(name)).User, 'own');
    await remove(name);
  } finally {
    await real.stop();
  }
});

test('what broken-off pulls and images without a container or a tag have left is pruned', async () => {
  const { images } = lab.client;
  const { layers: described, manifest } = registry.putImage('box', 'latest', layers.slice(1, 3));
  const digested = await images.pull(`${registry.host}/box@${manifest.digest}`, options());
  const tagged = await images.pull(`${registry.host}/box:latest`, options());
  registry.putImage('broken', 'latest', layers.slice(3));
  registry.fault = ({ path }) =>
    path.includes('broken/blobs') && path.endsWith(digestOf(layers[4]!)) ? { status: 403 } : undefined;
  await assert.rejects(images.pull(`${registry.host}/broken`, options()), /does not allow it/);
  assert.equal((await lab.client.services.leases.List({})).leases.length, 1);
  const first = await images.prune();
  assert.deepEqual(first.images, [digested.name]);
  assert.ok(described.length === 2 && first.bytes >= 0);
  assert.equal((await lab.client.services.leases.List({})).leases.length, 0);
  const second = await images.prune({ all: true });
  assert.deepEqual(second.images, [tagged.name]);
  await remove();
  await lab.nothingLeft();
});
