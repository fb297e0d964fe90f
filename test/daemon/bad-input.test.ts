/** What is wrong comes to light with its name and the next step, in the program as it is built; what is right beside it goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { execa } from 'execa';
import { containerd } from '../../src/api/full.js';
import { Containerd, shimDir, temporaryDirectory, top } from '../support/daemons.js';

const program = join(top, 'bin/hawserd');
const directory = temporaryDirectory('bad-input');
let hawserd: Containerd;

function file(name: string, text: string, mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode });
  return path;
}

before(async () => {
  hawserd = new Containerd(shimDir, program);
  const config = join(hawserd.dir, 'config.toml');
  const modules = [
    file('loading.mjs', 'throw new Error("while loading")'),
    file('init.mjs', 'export default { type: "t", id: "init", init() { throw new Error("in init") } }'),
  ];
  const shims = {
    rubbish: file('rubbish', '#!/bin/sh\nexec echo "neither address nor JSON"\n', 0o755),
    mute: file('mute', '#!/bin/sh\nexec sleep 1000\n', 0o755),
    missing: join(directory, 'missing'),
  };
  const runtimes = Object.entries(shims).map(
    ([name, shim]) => `[runtimes."io.example.${name}.v1"]\n  shim = "${shim}"\n`,
  );
  writeFileSync(
    config,
    `external_plugins = ${JSON.stringify(modules)}\n${readFileSync(config, 'utf8')}${runtimes.join('')}[timeouts]\n  "io.hawser.timeout.shim.start" = "1s"\n`,
  );
  await hawserd.start();
});

after(async () => {
  await hawserd.cleanUp();
  rmSync(directory, { recursive: true, force: true });
});

async function refusal(...args: string[]): Promise<string> {
  const { exitCode, stderr } = await execa(program, args, {
    reject: false,
    timeout: 20_000,
    cwd: '/',
    stdin: 'ignore',
  });
  assert.equal(exitCode, 1, stderr);
  return stderr;
}

/** A call without ctr, which would put right what is to be wrong. */
async function call(method: string, request: Uint8Array, namespace?: string): Promise<string> {
  const client = new Client(`unix://${hawserd.socket}`, credentials.createInsecure());
  const metadata = new Metadata();
  if (namespace !== undefined) metadata.set('containerd-namespace', namespace);
  try {
    return await new Promise((resolve) =>
      client.makeUnaryRequest(
        `/containerd.services.${method}`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.from(request),
        metadata,
        (error: ServiceError | null) => resolve(error?.message ?? 'done'),
      ),
    );
  } finally {
    client.close();
  }
}

test('a configuration: the place of what is wrong', async () => {
  const unknown = file('unknown.toml', 'version = 2\n\n[grpc]\n  adress = "/x"\n');
  const type = file('type.toml', 'version = 2\noom_score = "low"\n');
  const broken = file('broken.toml', 'version = 2\nroot = \n');
  for (const words of [['config', 'check'], []]) {
    assert.equal(
      await refusal('-c', unknown, ...words),
      `hawserd: ${unknown}:4:3: unknown key adress in [grpc]; did you mean address?`,
    );
    assert.match(
      await refusal('-c', type, ...words),
      /^hawserd: \S+type\.toml:2:1: .*oom_score must be a whole number/,
    );
    assert.match(await refusal('-c', broken, ...words), /^hawserd: \S+broken\.toml:2:\d+: /);
  }
});

test('a root that cannot be written to, and one that another hawserd has', async () => {
  mkdirSync(join(directory, 'readonly'));
  const script =
    'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" --root "$1" --state "$3" -a "$3/s"';
  const { exitCode, stderr } = await execa(
    'unshare',
    ['-m', 'sh', '-c', script, 'sh', join(directory, 'readonly'), program, join(directory, 'state')],
    { reject: false, timeout: 20_000, stdin: 'ignore' },
  );
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^hawserd: root directory \S+readonly cannot be used: EROFS.*Give another one with --root, or run hawserd as root$/,
  );
  assert.match(
    await refusal('--root', hawserd.root, '--state', join(directory, 's'), '-a', join(directory, 'a')),
    /^hawserd: root \S+ is in use by the hawserd of process \d+: stop that one, or give this one another/,
  );
  assert.match(
    await refusal('--root', join(directory, 'r'), '--state', join(directory, 's'), '-a', hawserd.socket),
    /^hawserd: socket \S+ is in use by process \d+: stop that one/,
  );
});

test('a request without a namespace, with an id that is none, of a container without a runtime', async () => {
  assert.match(
    await call('containers.v1.Containers/List', new Uint8Array(0)),
    /FAILED_PRECONDITION: namespace is required: name one in the header containerd-namespace/,
  );
  assert.match(
    await call('containers.v1.Containers/List', new Uint8Array(0), '../x'),
    /INVALID_ARGUMENT: namespace validation: identifier "\.\.\/x" must match/,
  );
  const create = (container: containerd.services.containers.v1.Container.$Properties): Promise<string> =>
    call(
      'containers.v1.Containers/Create',
      containerd.services.containers.v1.CreateContainerRequest.encode({ container }).finish(),
      hawserd.namespace,
    );
  const spec = { type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') };
  for (const id of ['', '../x', 'x'.repeat(77)])
    assert.match(
      await create({ id, runtime: { name: 'io.containerd.runc.v2' }, spec }),
      /INVALID_ARGUMENT: .*container\.ID: /,
    );
  assert.match(await create({ id: 'bare', spec }), /INVALID_ARGUMENT: .*[Rr]untime.*must be set/);
  assert.match(
    await call(
      'tasks.v1.Tasks/Create',
      containerd.services.tasks.v1.CreateTaskRequest.encode({ containerId: 'nobody' }).finish(),
      hawserd.namespace,
    ),
    /NOT_FOUND: container "nobody" in namespace .*not found/,
  );
});

test('a shim that prints rubbish, never answers, is missing', async () => {
  for (const [name, text] of [
    ['rubbish', /printed "neither address nor JSON", which is no address/],
    ['mute', /gave no answer within 1 s and was killed/],
    ['missing', /\/missing/],
    ['unknown', /runtime "io\.example\.unknown\.v1" binary not installed/],
  ] as const) {
    const { exitCode, stderr } = await hawserd.run(name, ['/bin/true'], {
      flags: ['--runtime', `io.example.${name}.v1`],
      reject: false,
    });
    assert.equal(exitCode, 1, name);
    assert.match(stderr, text);
    assert.equal(existsSync(hawserd.bundle(name)), false, name);
  }
});

test('an external plugin that throws as it is loaded, or as it starts', async () => {
  assert.match(hawserd.logText(), /loading\.mjs cannot be loaded: while loading/);
  const { stdout } = await hawserd.ctr(['plugins', 'ls', '-d', 'id==init']);
  assert.match(stdout, /in init/);
  assert.match((await hawserd.ctr(['plugins', 'ls'])).stdout, /^io\.containerd\.grpc\.v1 +tasks .* ok/m);
});

test('bundles that are none are cleared away at the start, and a task beside them is found', async () => {
  await hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, 'good', '/bin/sleep', '1000']);
  await hawserd.stop('SIGKILL');
  const bad = {
    empty: {},
    specless: { address: 'unix:///run/nobody.sock', 'shim-binary-path': join(shimDir, 'containerd-shim-runc-v2') },
    rubbish: { 'config.json': '{}', address: '\0rubbish\n\n', 'bootstrap.json': '{"version":' },
    binary: { 'config.json': '\xff', 'shim-binary-path': '/no/such' },
  };
  for (const [id, files] of Object.entries(bad)) {
    mkdirSync(hawserd.bundle(id));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(hawserd.bundle(id), name), text);
  }
  await hawserd.start();
  for (const id of Object.keys(bad)) assert.equal(existsSync(hawserd.bundle(id)), false, id);
  assert.match((await hawserd.ctr(['tasks', 'ls'])).stdout, /^good +\d+ +RUNNING$/m);
  await hawserd.ctr(['tasks', 'rm', '-f', 'good']);
  await hawserd.ctr(['containers', 'rm', 'good']);
});
