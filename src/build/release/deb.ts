/**
 * `make deb`: Debian packages. `hawser` runs on the distribution's Node, and `hawser-node` has one for distributions whose own is older than
 * 20. `deb.ts [ARCH…] [PACKAGE…]`. They are put together here, and not by dpkg-deb alone, for the order of what is in them: dpkg puts files down in that
 * order, containers may be started meanwhile, and only an older program does with a newer library.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { argv } from 'node:process';
import { gzipSync } from 'node:zlib';
import { top, version } from '../version.js';
import { newest, newestSymbol } from './elf.js';
import { machineOf, machines, type Machine } from './machines.js';
import { nodeInside } from './node.js';
import { lmdbPin, nodePin, part } from './parts.js';
import { sbom, npmComponent } from './sbom.js';
import { sourceDate, stage } from './stage.js';

const out = join(top, 'dist/release');
const packaging = join(top, 'src/build/packaging/debian');
const MAINTAINER = 'Hawser maintainers <maintainers@hawser.invalid>';

interface Package {
  name: string;
  version: string;
  /** Fields of the control file besides what all have. */
  fields: Record<string, string>;
  description: string;
  /** What it is licensed under, for copyright. */
  copyright: string;
}

const DESCRIPTION = `containerd's runtime layer in TypeScript
 A drop-in for containerd's shim, containerd-shim-runc-v2; hawserd, a daemon
 that speaks containerd's API; and hawser, a command line with docker's
 commands for either of the two.
 .
 The shim lies where no PATH finds it: "hawser shim enable" has containerd or
 docker use it, and "hawser shim disable" undoes that.`;
const NODE_DESCRIPTION = `Node.js for Hawser
 The Node.js that Hawser runs on where the distribution's is older than version
 20. Nothing else uses it: no PATH finds it.`;
const APACHE = ` Copyright (C) 2026 the maintainers of Hawser
 .
 On Debian systems, the full text of the Apache License version 2.0 is in
 /usr/share/common-licenses/Apache-2.0. What the programs are bundled with, and
 under which licenses, is in LICENSES.txt.gz beside this file.`;

const MIT = ` Copyright Node.js contributors
 .
 Node.js is under the license of the name MIT, and what it has inside under
 others: the texts of all of them are in LICENSE.gz beside this file.`;

function hawser(machine: Machine): string {
  const root = join(out, 'work', `deb-${machine.debian}`, 'hawser');
  const library = stage(machine, '/usr', root, { hasPlace: true });
  const share = join(root, 'usr/share');
  mkdirSync(join(share, 'zsh/vendor-completions'), { recursive: true });
  renameSync(join(share, 'zsh/site-functions/_hawser'), join(share, 'zsh/vendor-completions/_hawser'));
  rmSync(join(share, 'zsh/site-functions'), { recursive: true });
  for (const page of ['man1/hawser.1', 'man8/hawserd.8']) gzip(join(share, 'man', page));
  const docs = join(share, 'doc/hawser');
  mkdirSync(docs, { recursive: true });
  renameSync(join(library, 'LICENSES.txt'), join(docs, 'LICENSES.txt'));
  gzip(join(docs, 'LICENSES.txt'));
  const { name, integrity } = lmdbPin(machine);
  const lmdb = JSON.parse(readFileSync(join(part(lmdbPin(machine)), 'package.json'), 'utf8')) as { version: string };
  const bill = sbom(
    `debian-${machine.debian}`,
    [npmComponent({ name, version: lmdb.version, license: 'MIT' }, integrity, 'library')],
    sourceDate(),
  );
  writeFileSync(join(docs, 'sbom.cdx.json'), `${JSON.stringify(bill, undefined, 2)}\n`);
  gzip(join(docs, 'sbom.cdx.json'));
  // What is loaded, and not run.
  for (const name of ['hawser_sys.node', 'lmdb.node']) chmodSync(join(library, name), 0o644);
  return build(root, machine, {
    name: 'hawser',
    version: `${version}-1`,
    fields: {
      Depends: `libc6 (>= ${glibcOf(root)}), libstdc++6 (>= 11), nodejs (>= 20) | hawser-node`,
      Recommends: 'runc | crun',
      Suggests: 'containerd, docker.io, criu, containernetworking-plugins',
    },
    description: DESCRIPTION,
    copyright: APACHE,
  });
}

function hawserNode(machine: Machine): string {
  const pin = nodePin(machine);
  const root = join(out, 'work', `deb-${machine.debian}`, 'hawser-node');
  rmSync(root, { recursive: true, force: true });
  const library = join(root, 'usr/lib/hawser-node');
  mkdirSync(library, { recursive: true });
  const license = nodeInside(machine, library)[0]!.license;
  const docs = join(root, 'usr/share/doc/hawser-node');
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, 'LICENSE'), license);
  gzip(join(docs, 'LICENSE'));
  return build(root, machine, {
    name: 'hawser-node',
    version: `${pin.version}-1`,
    fields: { Depends: `libc6 (>= ${glibcOf(root)}), libstdc++6 (>= 11), libgcc-s1` },
    description: NODE_DESCRIPTION,
    copyright: MIT,
  });
}

function glibcOf(root: string): string {
  const files = filesOf(root).filter(
    (file) => readFileSync(join(root, file)).subarray(0, 4).toString('latin1') === '\x7fELF',
  );
  return newest(files.map((file) => newestSymbol(join(root, file), 'GLIBC'))) ?? '2.34';
}

function build(root: string, machine: Machine, of: Package): string {
  const when = sourceDate();
  const docs = join(root, 'usr/share/doc', of.name);
  mkdirSync(docs, { recursive: true });
  writeFileSync(join(docs, 'copyright'), copyrightFile(of));
  writeFileSync(join(docs, 'changelog.Debian'), changelog(of, when));
  gzip(join(docs, 'changelog.Debian'));
  const overrides = join(root, 'usr/share/lintian/overrides', of.name);
  mkdirSync(dirname(overrides), { recursive: true });
  writeFileSync(overrides, readFileSync(join(packaging, `${of.name}.overrides`)));

  const files = filesOf(root);
  const control = `${root}.control`;
  rmSync(control, { recursive: true, force: true });
  mkdirSync(control);
  const kib = Math.ceil(files.reduce((sum, file) => sum + statSync(join(root, file)).size, 0) / 1024);
  const fields = {
    Package: of.name,
    Version: of.version,
    Architecture: machine.debian,
    Maintainer: MAINTAINER,
    'Installed-Size': String(kib),
    ...of.fields,
    Section: 'admin',
    Priority: 'optional',
    Description: of.description,
  };
  writeFileSync(
    join(control, 'control'),
    Object.entries(fields)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  writeFileSync(join(control, 'md5sums'), files.map((file) => `${md5(join(root, file))}  ${file}\n`).join(''));
  for (const script of readdirSync(packaging)) {
    const [name, kind = ''] = script.split('.');
    if (name !== of.name || kind === 'overrides') continue;
    writeFileSync(join(control, kind), readFileSync(join(packaging, script)));
    chmodSync(join(control, kind), 0o755);
  }
  const file = join(out, `${of.name}_${of.version}_${machine.debian}.deb`);
  for (const earlier of readdirSync(out))
    if (earlier.startsWith(`${of.name}_`) && earlier.endsWith(`_${machine.debian}.deb`)) rmSync(join(out, earlier));
  pack(root, control, file, when);
  console.log(`${relative(top, file)}: ${statSync(file).size} bytes, ${kib} KiB installed`);
  return file;
}

/** deb(5): an archive of ar(1) with two archives of tar(1), of which the second is unpacked in its own order. */
function pack(root: string, control: string, file: string, when: Date): void {
  const tar = [
    '--format=gnu',
    `--mtime=@${when.getTime() / 1000}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=go-w',
  ];
  const work = `${root}.parts`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  writeFileSync(join(work, 'debian-binary'), '2.0\n');
  const inOrder = (list: readonly string[]): string =>
    list.map((name) => (name === '.' ? './' : `./${name}`)).join('\n');
  for (const [name, from, list] of [
    ['control.tar', control, ['.', ...readdirSync(control).sort()]],
    ['data.tar', root, [...directoriesOf(root), ...filesOf(root)]],
  ] as const) {
    execFileSync('tar', [...tar, '-C', from, '--no-recursion', '-cf', join(work, name), '-T', '-'], {
      input: inOrder(list),
    });
    // A higher level takes minutes for Node, and saves a tenth.
    execFileSync('xz', ['-T0', '-3', join(work, name)]);
  }
  rmSync(file, { force: true });
  execFileSync('ar', ['rcD', file, 'debian-binary', 'control.tar.xz', 'data.tar.xz'], { cwd: work });
  rmSync(work, { recursive: true });
}

/** In the order in which they are put down: programs last. */
function filesOf(root: string): string[] {
  const isProgram = (file: string): boolean => /^usr\/(lib\/hawser\/)?bin\//.test(file);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(root, join(entry.path, entry.name)))
    .sort((a, b) => Number(isProgram(a)) - Number(isProgram(b)) || (a < b ? -1 : 1));
}

function directoriesOf(root: string): string[] {
  return [
    '.',
    ...readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => relative(root, join(entry.path, entry.name)))
      .sort(),
  ];
}

function copyrightFile({ name, copyright }: Package): string {
  return `This is the package ${name}, which was made from Hawser ${version}.\n\nLicense:\n\n${copyright}\n`;
}

function changelog({ name, version: of }: Package, when: Date): string {
  const date = when.toUTCString().replace('GMT', '+0000');
  return `${name} (${of}) unstable; urgency=medium\n\n  * Hawser ${version}: CHANGELOG.md in its sources says what is new.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function gzip(file: string): void {
  writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
  rmSync(file);
}

function md5(file: string): string {
  return createHash('md5').update(readFileSync(file)).digest('hex');
}

const words = argv.slice(2);
const made = { hawser, 'hawser-node': hawserNode };
const isName = (word: string): word is keyof typeof made => word in made;
const chosen = words.filter(isName);
const kinds = words.filter((word) => !isName(word)).map(machineOf);
mkdirSync(out, { recursive: true });
for (const name of chosen.length > 0 ? chosen : (Object.keys(made) as (keyof typeof made)[]))
  for (const machine of kinds.length > 0 ? kinds : machines) made[name](machine);
