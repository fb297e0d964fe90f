/**
 * `make dist`: for each kind of machine an archive with Node inside, that needs nothing but glibc; beside them their bills of
 * materials and SHA256SUMS. `tarball.ts [ARCH…]`
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { arch as here, argv } from 'node:process';
import { top, version } from '../version.js';
import { neededLibraries, newest, newestSymbol } from './elf.js';
import { machineOf, machines, type Machine } from './machines.js';
import { nodeInside, cxxLibraries, type Foreign } from './node.js';
import { part, lmdbPin } from './parts.js';
import { npmComponent, sbom } from './sbom.js';
import { compile, sourceDate, stage } from './stage.js';

const out = join(top, 'dist/release');
const packaging = join(top, 'src/build/packaging');

function build(machine: Machine): string {
  const name = `hawser-${version}-linux-${machine.debian}`;
  const work = join(out, 'work', machine.debian);
  for (const earlier of readdirSync(out))
    if (earlier.startsWith('hawser-') && earlier.includes(`-linux-${machine.debian}.`)) rmSync(join(out, earlier));
  const root = join(work, name);
  const library = stage(machine, '/', root, { hasPlace: false });
  const node = nodeInside(machine, library);
  const foreign = [...node, ...cxxLibraries(machine, join(root, 'fallback'))];
  // Compiled code is of one kind of machine, and takes that to be made: elsewhere the shim is compiled when it starts.
  if (machine.arch === here) compile(library);
  const when = sourceDate();
  copyFileSync(join(top, 'LICENSE'), join(root, 'LICENSE'));
  addLicenses(join(library, 'LICENSES.txt'), foreign);
  const bill = `${JSON.stringify(billOf(machine, foreign, when), undefined, 2)}\n`;
  writeFileSync(join(library, 'sbom.cdx.json'), bill);
  writeFileSync(join(out, `${name}.cdx.json`), bill);
  // Of systemd units the one line that names the prefix is written when it is installed.
  const unit = join(root, 'lib/systemd/system/hawserd.service');
  writeFileSync(unit, readFileSync(unit, 'utf8').replace(/^ExecStart=.*$/m, 'ExecStart=@PREFIX@/bin/hawserd'));
  const needs = requirements(root);
  for (const script of ['install.sh', 'uninstall.sh']) {
    const to = script === 'install.sh' ? join(root, script) : join(library, script);
    const text = readFileSync(join(packaging, script), 'utf8');
    writeFileSync(
      to,
      text
        .replaceAll('@VERSION@', version)
        .replaceAll('@MACHINE@', machine.triplet.split('-')[0]!)
        .replaceAll('@GLIBC@', needs.glibc)
        .replaceAll('@GLIBC_FALLBACK@', needs.fallback),
    );
    chmodSync(to, 0o755);
  }
  writeFileSync(join(library, 'files'), `${installed(root).join('\n')}\n`);
  const archive = pack(work, name, when);
  console.log(
    `${relative(top, archive)}: ${statSync(archive).size} bytes, glibc ${needs.glibc} or later (${needs.fallback} where the machine has no libstdc++ of GCC 11 or later)`,
  );
  return archive;
}

function billOf(machine: Machine, foreign: readonly Foreign[], when: Date): object {
  const pin = lmdbPin(machine);
  const manifest = JSON.parse(readFileSync(join(part(pin), 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  return sbom(
    `linux-${machine.debian}`,
    [npmComponent(manifest, pin.integrity, 'library'), ...foreign.map((one) => one.component)],
    when,
  );
}

function addLicenses(file: string, foreign: readonly Foreign[]): void {
  const texts = foreign.map(({ component, license }) => `${component.name} ${component.version}\n\n${license.trim()}`);
  writeFileSync(file, [readFileSync(file, 'utf8').trim(), ...texts].join(`\n\n${'-'.repeat(80)}\n\n`) + '\n');
}

/** What it takes of a machine. @throws Error for a library that is neither glibc's nor comes along */
function requirements(root: string): { glibc: string; fallback: string } {
  const files = allFiles(root)
    .map((file) => join(root, file))
    .filter(isElf);
  const glibc = /^(libc|libm|libdl|libpthread|librt|ld-linux-[\w-]+)\.so\.\d$/;
  const fallback = files.filter((file) => file.startsWith(join(root, 'fallback/')));
  const along = new Set(fallback.map((file) => relative(join(root, 'fallback'), file)));
  for (const file of files)
    for (const name of neededLibraries(file))
      if (!glibc.test(name) && !along.has(name)) throw new Error(`${file} needs ${name}, which is not glibc's`);
  const always = files.filter((file) => !fallback.includes(file));
  return {
    glibc: newest(always.map((file) => newestSymbol(file, 'GLIBC'))) ?? '2.17',
    fallback: newest(files.map((file) => newestSymbol(file, 'GLIBC'))) ?? '2.17',
  };
}

function isElf(file: string): boolean {
  return readFileSync(file).subarray(0, 4).equals(Buffer.from('\x7fELF'));
}

/** In the order in which they are put down: a program is older than its library meanwhile, never newer. */
function installed(root: string): string[] {
  const rank = (file: string): number =>
    /^(lib\/hawser\/)?bin\//.test(file) ? 2 : file.startsWith('lib/hawser/') ? 0 : 1;
  return [...allFiles(root).filter((file) => /^(bin|lib|share)\//.test(file)), 'lib/hawser/files'].sort(
    (a, b) => rank(a) - rank(b) || (a < b ? -1 : 1),
  );
}

function allFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(root, join(entry.path, entry.name)))
    .sort();
}

function pack(work: string, name: string, when: Date): string {
  const archive = join(out, `${name}.tar.gz`);
  const tar = [
    '--sort=name',
    `--mtime=@${when.getTime() / 1000}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=go-w',
  ];
  execFileSync('sh', [
    '-c',
    'set -e; out=$1; shift; tar "$@" >"$out.tar"; gzip -n9 <"$out.tar" >"$out.new"; rm "$out.tar"; mv "$out.new" "$out"',
    'sh',
    archive,
    '-C',
    work,
    ...tar,
    '-cf',
    '-',
    name,
  ]);
  return archive;
}

function sums(): void {
  const files = readdirSync(out)
    .filter((file) => /^hawser-.*\.(tar\.gz|cdx\.json)$/.test(file))
    .sort();
  const lines = files.map(
    (file) =>
      `${createHash('sha256')
        .update(readFileSync(join(out, file)))
        .digest('hex')}  ${file}`,
  );
  writeFileSync(join(out, 'SHA256SUMS.new'), `${lines.join('\n')}\n`);
  renameSync(join(out, 'SHA256SUMS.new'), join(out, 'SHA256SUMS'));
}

const wanted = argv.length > 2 ? argv.slice(2).map(machineOf) : machines;
mkdirSync(out, { recursive: true });
for (const machine of wanted) build(machine);
sums();
