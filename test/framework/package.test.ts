/**
 * The package as npm installs it: packed, installed by the real npm into a project and as a global one, run by npx; its
 * libraries imported, with their types; its programs run, with a PATH in which Node is not.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { makeRootfs, temporaryDirectory, top, until } from '../support/daemons.js';
import { allProcesses, zygotesIn } from '../support/machine.js';

const PROGRAM = `
import { cgroupMetrics, holdProcess, runRuncShim, runShim, signalProcess, startProcess, type Container, type Shim } from 'hawser/shim';
import { Runtime, type RuntimeOptions } from 'hawser/runc';
import { connect, Server, type ServiceClient } from 'hawser/ttrpc';
import { containerd, errdefs, ContainerdTaskV2Task } from 'hawser/api';
import { Client, NotFoundError, type ConnectOptions } from 'hawser/client';

export const shim: Shim = {
  create: (container: Container) => startProcess(container, container.spec.process?.args ?? []).pid,
  start() {},
  kill({ pid }, signal, { all }) { signalProcess(pid, signal, { all }); },
  delete({ id }) { throw errdefs.notFound(id); },
  stats: ({ pid }) => cgroupMetrics(pid),
};
export const task = async (path: string): Promise<ServiceClient<typeof ContainerdTaskV2Task>> => (await connect(path)).service(ContainerdTaskV2Task);
export const runtime = (options: RuntimeOptions): Runtime => new Runtime(options);
export const client = (options: ConnectOptions): Promise<Client> => Client.connect(options);
console.log([runShim, runRuncShim, holdProcess, Runtime, connect, Server, Client.connect, NotFoundError, containerd.task.v2.StateRequest].map((one) => typeof one).join(' '));
`;

interface Manifest {
  bin: Record<string, string>;
  man: string[];
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  scripts: Record<string, string>;
  keywords: string[];
}

let dir: string;
let tarball: string;
/** A project that has installed the package, and the package there. */
let project: string;
let installed: string;
let manifest: Manifest;

/** npm with a cache of its own, which the first installation fills: what is left is in `dir`. */
function npm(args: readonly string[], cwd = project): Promise<{ stdout: string; stderr: string }> {
  const { NODE_EXTRA_CA_CERTS: _, ...rest } = process.env;
  const env = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.toLowerCase().startsWith('npm_')));
  return execa('npm', [...args], {
    cwd,
    stdin: 'ignore',
    extendEnv: false,
    timeout: 240_000,
    env: {
      ...env,
      npm_config_cache: join(dir, 'cache'),
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
      npm_config_fund: 'false',
      npm_config_audit: 'false',
    },
  });
}

before(
  async () => {
    dir = temporaryDirectory('packed');
    project = join(dir, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}');
    // What is built is packed as it is: building is not for a test that runs beside others.
    const { stdout } = await npm(['pack', '--silent', '--ignore-scripts', '--pack-destination', dir, top]);
    tarball = join(dir, stdout.trim());
    await npm(['install', tarball]);
    installed = join(project, 'node_modules/hawser');
    manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
  },
  { timeout: 300_000 },
);

after(() => rmSync(dir, { recursive: true, force: true }));

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.path, entry.name).slice(root.length + 1));
}

/** Whose packages these files import, builtin modules aside. */
function importedBy(files: readonly string[]): string[] {
  const names = new Set<string>();
  for (const file of files) {
    for (const [, name = ''] of readFileSync(join(installed, file), 'utf8').matchAll(
      /^(?!\s*(?:\*|\/\/)).*?(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\()["']([^"'.][^"']*)["']/gm,
    )) {
      if (!name.startsWith('node:') && !builtinModules.includes(name))
        names.add(
          name
            .split('/')
            .slice(0, name.startsWith('@') ? 2 : 1)
            .join('/'),
        );
    }
  }
  return [...names].sort();
}

const isOfLibrary = (file: string): boolean => /^dist\/(api|client|oci|runc|shim|sys|ttrpc)\//.test(file);

test('the packed package has all that its libraries need, types too', { timeout: 120_000 }, async () => {
  writeFileSync(join(project, 'program.mts'), PROGRAM);
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        lib: ['ES2023'],
        module: 'NodeNext',
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: true,
        // Who writes TypeScript for Node has these.
        types: ['node'],
        typeRoots: [join(top, 'node_modules/@types')],
      },
      include: ['program.mts'],
    }),
  );
  const compiled = await execa(join(top, 'node_modules/.bin/tsc'), ['-p', project], { all: true, reject: false });
  assert.equal(compiled.exitCode, 0, compiled.all);
  const ran = await execa('node', ['program.mjs'], { cwd: project });
  assert.equal(ran.stdout, Array(9).fill('function').join(' '));
  const files = Object.values(manifest.exports).flatMap((one) =>
    typeof one === 'string' ? [one] : [one.types, one.default],
  );
  for (const file of files) assert.ok(existsSync(join(installed, file)), file);
});

test('what it depends on is what its libraries import, and no more', () => {
  const files = filesBelow(installed).filter(isOfLibrary);
  // Types, too: where packages see only what they have asked for, what these do not name is `any`.
  assert.deepEqual(
    importedBy(files.filter((file) => /\.(js|d\.ts)$/.test(file))),
    Object.keys(manifest.dependencies).sort(),
  );
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
    assert.equal(manifest.scripts[name], undefined, name);
  // 94 packages and 82 MB, once, and then 36 and 34.
  const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as { packages: object };
  assert.ok(Object.keys(lock.packages).length < 60, `${Object.keys(lock.packages).length} packages`);
  const bytes = (root: string): number =>
    filesBelow(root).reduce((sum, file) => sum + statSync(join(root, file)).size, 0);
  // Of which 0.5 and 1.5 are a bundle for `ps` and its compiled code.
  assert.ok(statSync(tarball).size < 6.5e6, `${statSync(tarball).size} bytes packed`);
  assert.ok(bytes(installed) < 23e6, `${bytes(installed)} bytes of our own`);
  assert.ok(bytes(join(project, 'node_modules')) < 44e6, `${bytes(join(project, 'node_modules'))} bytes in all`);
});

/** The sources of the libraries' rooms, to which an editor goes from a declaration. */
function isNamedByMaps(file: string): boolean {
  return /^src\/(api|client|oci|runc|shim|sys|text|ttrpc)\//.test(file);
}

test('it has what was built, and nothing of how', () => {
  const files = filesBelow(installed);
  assert.deepEqual(
    files.filter(
      (file) =>
        (/\.[cm]?tsx?$/.test(file) && !file.endsWith('.d.ts') && !isNamedByMaps(file)) ||
        /\.(c|h|proto)$|(^|\/)test\//.test(file),
    ),
    [],
  );
  // What an earlier source had is no part of it.
  for (const file of files.filter((one) => isOfLibrary(one) && one.endsWith('.js'))) {
    const source = join(top, 'src', file.slice('dist/'.length));
    assert.ok(
      existsSync(file.includes('/gen/') && existsSync(source) ? source : source.replace(/\.js$/, '.ts')),
      `${file} comes from no source`,
    );
  }
  for (const file of files)
    assert.equal(readFileSync(join(installed, file)).includes(top), false, `${file} names the checkout`);
  for (const file of [
    ...Object.values(manifest.bin),
    ...manifest.man,
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'dist/LICENSES.txt',
  ])
    assert.ok(files.includes(file.replace(/^\.\//, '')), file);
  for (const file of Object.values(manifest.bin))
    assert.equal(statSync(join(installed, file)).mode & 0o777, 0o755, file);
  assert.ok(manifest.keywords.length > 0);
});

test('package.json is as npm wants it, and says for which machine this is', { timeout: 60_000 }, async () => {
  const copy = join(dir, 'manifest');
  mkdirSync(copy);
  const original = readFileSync(join(top, 'package.json'), 'utf8');
  writeFileSync(join(copy, 'package.json'), original);
  await npm(['pkg', 'fix'], copy);
  assert.deepEqual(JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')), JSON.parse(original));

  const check = (of: string) =>
    execa('node', ['--import', 'tsx', join(top, 'src/build/check-package.ts'), of], { cwd: top, reject: false });
  if (process.arch === 'x64') assert.equal((await check(installed)).stderr, '');
  for (const one of ['npm', 'dist']) symlinkSync(join(installed, one), join(copy, one));
  for (const [field, wrong] of [
    ['cpu', 's390'],
    ['libc', 'other'],
    ['os', 'plan9'],
  ] as const) {
    writeFileSync(
      join(copy, 'package.json'),
      JSON.stringify({ os: ['linux'], cpu: [process.arch], libc: ['glibc'], [field]: [wrong] }),
    );
    assert.match(
      (await check(copy)).stderr,
      new RegExp(`package.json says "${field}": \\["${wrong}"\\], but \\S+ was built for \\S+: write`),
    );
  }
});

/** Tools that the programs and daemons need, and no Node. */
function pathWithoutNode(): string {
  const path = join(dir, 'path');
  mkdirSync(path);
  for (const place of ['/sbin', '/bin', '/usr/sbin', '/usr/bin']) {
    for (const name of readdirSync(place))
      if (!/^(node|nodejs|npm|npx|hawser.*|containerd-shim.*)$/.test(name) && !existsSync(join(path, name)))
        symlinkSync(join(place, name), join(path, name));
  }
  return path;
}

test('its programs run by npx, from a project and from the package alone', { timeout: 120_000 }, async () => {
  const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(
    readdirSync(join(project, 'node_modules/.bin')).filter((name) => name in manifest.bin),
    Object.keys(manifest.bin).sort(),
  );
  for (const [name, flag] of [
    ['hawser', '--version'],
    ['hawserd', '--version'],
    ['containerd-shim-runc-v2', '-v'],
  ] as const) {
    assert.ok((await npm(['exec', '--offline', '--', name, flag])).stdout.includes(version), name);
    assert.ok((await execa(join(project, 'node_modules/.bin', name), [flag])).stdout.includes(version), name);
  }
  // As `npx hawser` does, which has it from the registry.
  assert.ok(
    (await npm(['exec', '--yes', `--package=${tarball}`, '--', 'hawser', '--version'], dir)).stdout.includes(version),
  );
});

test(
  'installed globally, its daemon and its shim run a container without any package and without Node in PATH',
  { timeout: 120_000 },
  async () => {
    const prefix = join(dir, 'global');
    await npm(['install', '--global', '--prefix', prefix, tarball]);
    const home = join(prefix, 'lib/node_modules/hawser');
    const bin = join(prefix, 'bin');
    for (const page of ['man1/hawser.1', 'man8/hawserd.8'])
      assert.ok(existsSync(join(prefix, 'share/man', page)), page);
    rmSync(join(home, 'node_modules'), { recursive: true });
    // Where npm has come with its Node.
    symlinkSync(process.execPath, join(bin, 'node'));
    const PATH = pathWithoutNode();
    const env = { PATH };
    assert.match(
      (await execa(join(bin, 'containerd-shim-runc-v2'), ['-v'], { env, extendEnv: false })).stdout,
      new RegExp(`\n {2}Library: ${home}/dist`),
    );

    const state = join(dir, 'state');
    mkdirSync(state);
    const address = join(state, 'sock');
    const own = execa(
      join(bin, 'hawserd'),
      ['--root', join(state, 'root'), '--state', join(state, 'state'), '-a', address],
      { reject: false, stdin: 'ignore', cwd: '/', env: { ...env, HAWSER_RUN_DIR: state }, extendEnv: false },
    );
    const hawser = (args: string[]) =>
      execa(join(bin, 'hawser'), ['--address', address, ...args], {
        stdin: 'ignore',
        env: { ...env, HAWSER_DATA: join(state, 'cli'), HAWSER_NETWORK: 'none' },
        extendEnv: false,
      });
    try {
      await until('the packed hawserd to serve', () => existsSync(address));
      await hawser(['run', '-d', '--name', 'own', '--rootfs', makeRootfs(join(state, 'rootfs')), '/bin/sleep', '1000']);
      const shim = allProcesses().find(({ command }) => command.includes(`-address ${address}`));
      assert.ok(shim?.command.startsWith(`${home}/npm/containerd-shim-runc-v2 `), shim?.command);
      const worker = allProcesses().find(({ command }) => command === `hawser-worker default/own ${shim?.pid}`);
      assert.match(readFileSync(`/proc/${worker?.pid}/maps`, 'latin1'), new RegExp(`${home}/dist/hawser_sys\\.node`));
      assert.equal((await hawser(['exec', 'own', '/bin/echo', 'it works'])).stdout, 'it works');
    } finally {
      await hawser(['rm', '-f', 'own']);
      own.kill('SIGTERM');
      await own;
      // A zygote waits for some minutes.
      for (const pid of zygotesIn(state)) process.kill(pid);
    }
  },
);
