/** The Node that goes inside, and the C++ library that it takes where a machine has none. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machines.js';
import { nodePin, part } from './parts.js';
import { npmComponent, type Component } from './sbom.js';
import { put, strip } from './stage.js';

/** What was built by others. */
export interface Foreign {
  component: Component;
  license: string;
}

const CXX = ['libstdc++.so.6', 'libgcc_s.so.1'];

/**
 * Puts Node into the library: without what only debuggers read, and so that it finds libraries in `lib` beside it, if they are there.
 * Nothing else of it is changed.
 */
export function nodeInside(machine: Machine, library: string): Foreign[] {
  const pin = nodePin(machine);
  const from = part(pin);
  const node = join(library, 'node');
  put(join(from, 'bin/node'), node);
  strip(machine, node);
  execFileSync('patchelf', ['--set-rpath', '$ORIGIN/lib', node]);
  const manifest = { name: pin.name, version: pin.version, license: 'MIT' };
  return [
    {
      component: {
        ...npmComponent(manifest, pin.integrity, 'platform'),
        description: 'Node.js, stripped of symbols for debuggers, with $ORIGIN/lib as its RUNPATH',
        externalReferences: [{ type: 'vcs', url: 'https://github.com/nodejs/node' }],
      },
      license: readFileSync(join(from, 'LICENSE'), 'utf8'),
    },
  ];
}

/** GCC's runtime libraries, as Debian has built them for the machine that builds, or for its cross compiler. */
export function cxxLibraries(machine: Machine, to: string): Foreign[] {
  mkdirSync(to, { recursive: true });
  return CXX.map((name) => {
    const places = [`/usr/${machine.triplet}/lib`, `/usr/lib/${machine.triplet}`, `/lib/${machine.triplet}`];
    const file = places.map((place) => join(place, name)).find((one) => existsSync(one));
    if (file === undefined) throw new Error(`${name} for ${machine.debian} is in none of ${places.join(', ')}`);
    put(file, join(to, name));
    return debianPart(realpathSync(file), name, machine);
  });
}

function debianPart(file: string, name: string, machine: Machine): Foreign {
  const query = (format: string, what: string): string =>
    execFileSync('dpkg-query', ['-W', '-f', format, what], { encoding: 'utf8' }).trim();
  // dpkg may know it by the name that it had before /lib became a link.
  const owner = [file, file.replace(/^\/usr/, ''), `/usr${file}`].flatMap((path) => ownerOf(path) ?? [])[0];
  if (owner === undefined) throw new Error(`${file} is of no Debian package`);
  const version = query('${Version}', owner);
  const source = query('${source:Package} ${source:Version}', owner);
  const copyright = `/usr/share/doc/${owner.split(':')[0]!}/copyright`;
  return {
    component: {
      type: 'library',
      'bom-ref': `pkg:deb/debian/${owner.split(':')[0]!}@${version}?arch=${machine.debian}`,
      name: name.replace(/\.so\..*$/, ''),
      version,
      description: `of Debian's source package ${source}; used where a machine has none`,
      purl: `pkg:deb/debian/${owner.split(':')[0]!}@${version}?arch=${machine.debian}`,
      hashes: [{ alg: 'SHA-256', content: createHash('sha256').update(readFileSync(file)).digest('hex') }],
      licenses: [{ expression: 'GPL-3.0-or-later WITH GCC-exception-3.1' }],
    },
    license: `Its source is Debian's source package ${source}.\n\n${readFileSync(realpathSync(copyright), 'utf8')}`,
  };
}

function ownerOf(path: string): string | undefined {
  try {
    return execFileSync('dpkg-query', ['-S', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).replace(
      /: \/.*$/s,
      '',
    );
  } catch (error) {
    // Its status says that no package has it.
    if (error instanceof Error && 'status' in error) return undefined;
    throw error;
  }
}
