/**
 * The packages for npm, from a real registry: installed into projects and globally, by npm, npx and pnpm; on clean roots, as `scenario.sh`
 * has it; and where the optional package with the native parts is left out. By `make test-install`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { arch, execPath } from 'node:process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { machineOf } from '../../src/build/release/machines.js';
import { nodePin, part } from '../../src/build/release/parts.js';
import { temporaryDirectory, top } from '../support/daemons.js';
import { removeCgroups } from '../support/machine.js';
import { Registry, release, tools } from './loopback.js';

const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };
const SECOND = version.replace(/\d+$/, (patch) => String(Number(patch) + 1));
const PLATFORM = `@hawser/linux-${arch}`;
const OTHER = `@hawser/linux-${arch === 'x64' ? 'arm64' : 'x64'}`;
const options = { timeout: 300_000, skip: process.env.ONLY?.split('/').every((word) => word !== 'npm') };
const dir = temporaryDirectory('npm');
let registry: Registry;
let env: NodeJS.ProcessEnv;

before(async () => {
  if (options.skip) return;
  registry = await Registry.start(join(dir, 'registry'));
  await registry.publish(release);
  env = registry.environment(join(dir, 'client'));
});

after(async () => {
  await registry?.stop();
  rmSync(dir, { recursive: true, force: true });
});

function project(name: string): string {
  const place = join(dir, name);
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{"type":"module","private":true}');
  return place;
}

interface Ran {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

async function run(command: string, args: readonly string[], cwd: string, more: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const { exitCode, stdout, stderr } = await execa(command, [...args], {
    cwd,
    env: { ...env, ...more },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
  });
  return { exitCode, stdout, stderr };
}

async function succeeds(
  command: string,
  args: readonly string[],
  cwd: string,
  more: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, args, cwd, more);
  assert.equal(exitCode, 0, `${command} ${args.join(' ')}: ${stdout}\n${stderr}`);
  return stdout;
}

const IMPORT = `const all = await Promise.all(['shim', 'client', 'runc', 'ttrpc', 'api'].map((name) => import('hawser/' + name))); console.log(all.length, typeof all[0].startProcess)`;

test('npm install, in a project: the package for this platform comes along, and no other', options, async () => {
  const place = project('npm');
  await succeeds('npm', ['install', 'hawser'], place);
  const modules = join(place, 'node_modules');
  assert.ok(existsSync(join(modules, PLATFORM, 'hawser_sys.node')));
  assert.ok(!existsSync(join(modules, OTHER)));
  assert.equal(await succeeds('node', ['--input-type=module', '-e', IMPORT], place), '5 function');
  for (const [name, flag] of [
    ['hawser', '--version'],
    ['hawserd', '--version'],
  ] as const) {
    assert.match(await succeeds('npx', ['--offline', name, flag], place), new RegExp(version), name);
    assert.match(await succeeds(join(modules, '.bin', name), [flag], place), new RegExp(version), name);
  }
  // The shim is no command that a PATH would find.
  assert.ok(!existsSync(join(modules, '.bin/containerd-shim-runc-v2')));
  assert.match(
    await succeeds(join(modules, PLATFORM, 'bin/containerd-shim-runc-v2'), ['-v'], place),
    new RegExp(version),
  );
  for (const name of ['hawser', PLATFORM]) {
    const { scripts } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')) as { scripts?: object };
    assert.equal(scripts, undefined, `${name} has scripts`);
  }
  // What was written down here installs on the other platform, too.
  const lock = readFileSync(join(place, 'package-lock.json'), 'utf8');
  assert.ok(lock.includes(`"node_modules/${OTHER}"`));
  rmSync(modules, { recursive: true });
  await succeeds('npm', ['ci'], place);
  assert.match(await succeeds('npx', ['--offline', 'hawser', '--version'], place), new RegExp(version));
});

test('npx, with nothing installed', options, async () => {
  const place = join(dir, 'npx');
  mkdirSync(place);
  assert.match(await succeeds('npx', ['--yes', 'hawser', '--version'], place), new RegExp(version));
  assert.match(
    await succeeds('npx', ['--yes', '--package=hawser', 'hawserd', '--version'], place),
    new RegExp(version),
  );
});

test('npm install --global: without Node in PATH, that of the prefix is taken', options, async () => {
  const prefix = join(dir, 'global');
  await succeeds('npm', ['install', '--global', '--prefix', prefix, 'hawser'], dir);
  symlinkSync(execPath, join(prefix, 'bin/node'));
  const tools = join(dir, 'path');
  mkdirSync(tools);
  for (const tool of ['readlink', 'env', 'sed']) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
  for (const name of ['hawser', 'hawserd'])
    assert.match(
      await succeeds(join(prefix, 'bin', name), ['--version'], dir, { PATH: tools }),
      new RegExp(version),
      name,
    );
  const shim = join(prefix, 'lib/node_modules/hawser/node_modules', PLATFORM, 'bin/containerd-shim-runc-v2');
  assert.match(await succeeds(shim, ['-v'], dir, { PATH: tools }), new RegExp(`Version: +${version}`));
  // The prefix has to be npm's, and not anybody's.
  rmSync(join(prefix, 'bin/hawser'));
  rmSync(join(prefix, 'bin/hawserd'));
  const { exitCode, stderr } = await run(shim, ['-v'], dir, { PATH: tools });
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /there is no Node to run the shim/);
});

test('pnpm, in a project and globally', options, async () => {
  const pnpm = join(await tools(), 'pnpm/bin/pnpm.mjs');
  const place = project('pnpm');
  const own = {
    XDG_DATA_HOME: join(dir, 'pnpm-data'),
    XDG_CACHE_HOME: join(dir, 'pnpm-cache'),
    XDG_STATE_HOME: join(dir, 'pnpm-state'),
    CI: '1',
  };
  await succeeds('node', [pnpm, 'add', 'hawser'], place, own);
  assert.ok(!existsSync(join(place, 'node_modules', PLATFORM)), 'it is beside its dependant alone');
  assert.equal(await succeeds('node', ['--input-type=module', '-e', IMPORT], place), '5 function');
  for (const name of ['hawser', 'hawserd'])
    assert.match(await succeeds('node', [pnpm, 'exec', name, '--version'], place, own), new RegExp(version), name);
  const home = join(dir, 'pnpm-home');
  const globally = { ...own, PNPM_HOME: home, PATH: `${home}/bin:${home}:${env.PATH}` };
  await succeeds('node', [pnpm, 'add', '--global', 'hawser'], dir, globally);
  assert.match(await succeeds('hawser', ['--version'], dir, globally), new RegExp(version));
  assert.match(await succeeds('node', [pnpm, 'dlx', 'hawser', '--version'], dir, own), new RegExp(version));
});

test('without the optional package, programs and libraries name it and the platform', options, async () => {
  const place = project('omitted');
  await succeeds('npm', ['install', '--omit=optional', 'hawser'], place);
  for (const [name, status] of [
    ['hawser', 125],
    ['hawserd', 1],
  ] as const) {
    const { exitCode, stderr } = await run(join(place, 'node_modules/.bin', name), ['--version'], place);
    assert.equal(exitCode, status, name);
    assert.ok(
      stderr.startsWith(
        `${name}: the package ${PLATFORM} is not installed, which has what it runs on this platform (linux, ${arch}, glibc). `,
      ),
      stderr,
    );
  }
  const { exitCode, stderr } = await run('node', ['--input-type=module', '-e', IMPORT], place);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    new RegExp(
      `native addon is missing: .* nor the package ${PLATFORM}, which npm takes for this platform \\(linux, ${arch}, glibc\\)`,
    ),
  );
  // What needs nothing native works all the same.
  await succeeds('node', ['--input-type=module', '-e', "await import('hawser/api')"], place);
});

test('where the packages for several platforms are, this platform’s is taken', options, async () => {
  const place = project('several');
  await succeeds('npm', ['install', '--force', 'hawser', OTHER], place);
  assert.ok(existsSync(join(place, 'node_modules', OTHER)) && existsSync(join(place, 'node_modules', PLATFORM)));
  assert.match(await succeeds('npx', ['--offline', 'hawser', '--version'], place), new RegExp(version));
});

for (const suite of ['bookworm', 'trixie']) {
  const chosen = process.env.ONLY?.split('/').every((word) => word === 'npm' || word === suite) ?? true;
  test(`npm on ${suite}`, { timeout: 600_000, skip: !chosen }, async () => {
    const root = execFileSync('sh', [join(top, 'test/install/roots.sh'), suite], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }).trim();
    const artefacts = join(dir, `artefacts-${suite}`);
    mkdirSync(artefacts);
    // Another version, once.
    if (!existsSync(join(dir, 'published'))) await registry.publish(release, SECOND);
    writeFileSync(join(dir, 'published'), '');
    writeFileSync(
      join(artefacts, 'npmrc'),
      `registry=${registry.url}\nfund=false\naudit=false\nupdate-notifier=false\n`,
    );
    writeFileSync(join(artefacts, 'versions'), `first=${version}\nsecond=${SECOND}\n`);
    cpSync(join(await tools(), 'npm'), join(artefacts, 'npm'), { recursive: true });
    cpSync(join(part(nodePin(machineOf(arch))), 'bin/node'), join(artefacts, 'node'));
    const namespace = `installed-${process.pid}-npm-${suite}`;
    try {
      const { all, exitCode } = await execa(
        'sh',
        [join(top, 'test/install/enter.sh'), root, artefacts, 'scenario.sh', 'npm', namespace],
        { all: true, reject: false, stdin: 'ignore' },
      );
      assert.equal(exitCode, 0, all);
      assert.match(all ?? '', /== nothing is left$/);
    } finally {
      removeCgroups(namespace);
    }
  });
}
