/**
 * `make packages`: what goes to npm. `hawser` has the libraries and the scripts that start its programs, and names as optional packages
 * `@hawser/linux-x64` and so on, one of which npm takes: the programs, what they run, and what is native. No package has a script
 * that runs when it is installed. `npm-packages.ts [ARCH…]`
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { arch as here, argv, env, execPath } from 'node:process';
import { top, version } from '../version.js';
import { machineOf, machines, type Machine } from './machines.js';
import { part, lmdbPin } from './parts.js';
import { npmComponent, sbom } from './sbom.js';
import { compile, sourceDate, stage } from './stage.js';

const out = join(top, 'dist/release');
const work = join(out, 'work/npm');

interface Manifest {
  [field: string]: unknown;
  bin: Record<string, string>;
  files: string[];
  man: string[];
}

const manifest = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as Manifest;
const SCRIPTS = ['hawser', 'hawserd'];
/** What of `files` is the libraries': the rest is each platform's. */
const LIBRARIES = /^(dist\/(api|client|oci|runc|shim|sys|ttrpc)|src\/.*|CHANGELOG\.md)$/;

export const platformName = ({ arch }: Machine): string => `@hawser/linux-${arch}`;

function main(wanted: readonly Machine[]): void {
  const root = join(work, 'hawser');
  mkdirSync(root, { recursive: true });
  for (const name of ['README.md', 'LICENSE', 'CHANGELOG.md']) copyFileSync(join(top, name), join(root, name));
  for (const file of manifest.files.filter((one) => LIBRARIES.test(one))) copy(file, root);
  mkdirSync(join(root, 'npm'));
  for (const name of SCRIPTS) copyFileSync(join(top, 'npm', name), join(root, 'npm', name));
  // For scripts that find nothing else, and for the manual.
  copyFileSync(join(top, 'dist/hawser.1'), join(root, 'dist/hawser.1'));
  copyFileSync(join(top, 'src/build/packaging/find-platform.sh'), join(root, 'dist/find-platform.sh'));
  const { devDependencies: _, scripts: __, overrides: ___, cpu: ____, libc: _____, ...rest } = manifest;
  writeJson(join(root, 'package.json'), {
    ...rest,
    bin: Object.fromEntries(SCRIPTS.map((name) => [name, `npm/${name}`])),
    files: ['npm', 'dist', 'src', 'CHANGELOG.md'],
    optionalDependencies: Object.fromEntries(wanted.map((machine) => [platformName(machine), version])),
  });
  pack(root);
}

/** One of `files`, which may be a pattern for the pages that go along. */
function copy(file: string, root: string): void {
  if (!file.includes('*')) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    return cpSync(join(top, file), join(root, file), { recursive: true });
  }
  for (const page of readdirSync(join(top, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!page.endsWith('.md')) continue;
    mkdirSync(dirname(join(root, 'src', page)), { recursive: true });
    copyFileSync(join(top, 'src', page), join(root, 'src', page));
  }
}

function platform(machine: Machine): void {
  const staged = join(work, `staged-${machine.arch}`);
  const library = stage(machine, '/', staged, { hasPlace: false });
  if (machine.arch === here) {
    // By the Node that builds: another compiles anew.
    symlinkSync(execPath, join(library, 'node'));
    compile(library);
    rmSync(join(library, 'node'));
  }
  const pin = lmdbPin(machine);
  const lmdb = JSON.parse(readFileSync(join(part(pin), 'package.json'), 'utf8')) as { name: string; version: string };
  const bill = sbom(`npm-linux-${machine.arch}`, [npmComponent(lmdb, pin.integrity, 'library')], sourceDate());
  writeJson(join(library, 'sbom.cdx.json'), bill);
  copyFileSync(join(top, 'LICENSE'), join(library, 'LICENSE'));
  writeFileSync(
    join(library, 'README.md'),
    `# ${platformName(machine)}\n\nThe programs of [hawser](https://www.npmjs.com/package/hawser), and what is native of it, for Linux on ${machine.arch} with glibc. Installed with it.\n`,
  );
  writeJson(join(library, 'package.json'), {
    name: platformName(machine),
    version,
    description: `hawser's programs and native parts for Linux on ${machine.arch} with glibc`,
    license: manifest.license,
    engines: manifest.engines,
    os: ['linux'],
    cpu: [machine.arch],
    libc: ['glibc'],
    publishConfig: { access: 'public' },
    preferUnplugged: true,
  });
  pack(library);
}

function writeJson(file: string, content: object): void {
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}

function pack(root: string): void {
  const { NODE_EXTRA_CA_CERTS: _, ...rest } = env;
  const name = execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', out], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: rest,
  }).trim();
  console.log(`${relative(top, join(out, name))}: ${statSync(join(out, name)).size} bytes`);
}

const wanted = argv.length > 2 ? argv.slice(2).map(machineOf) : machines;
mkdirSync(out, { recursive: true });
for (const file of readdirSync(out)) if (file.endsWith('.tgz')) rmSync(join(out, file));
rmSync(work, { recursive: true, force: true });
main(machines);
for (const machine of wanted) platform(machine);
