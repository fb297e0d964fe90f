/**
 * Whether package.json tells the truth about the machine that the package is for: the native parts are packed as they were
 * built here. Run before npm packs. `check-package.ts [DIRECTORY]` looks at an unpacked package.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { top } from './version.js';

/** Of e_machine, as Node's process.arch has it. */
const MACHINES: Record<number, string> = { 0x3e: 'x64', 0xb7: 'arm64', 0xf3: 'riscv64', 0x16: 's390x', 0x15: 'ppc64' };
const NATIVE = [
  'npm/containerd-shim-runc-v2',
  'dist/hawser-stand-in',
  'dist/hawser-after',
  'dist/hawser_sys.node',
  'dist/lmdb.node',
];
const LIBRARIES: readonly (readonly [string, string])[] = [
  ['libc.so.6\0', 'glibc'],
  ['libc.musl-', 'musl'],
  ['ld-musl-', 'musl'],
];

const directory = process.argv[2] ?? top;
const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
  os?: string[];
  cpu?: string[];
  libc?: string[];
};

function hold(file: string, field: 'os' | 'cpu' | 'libc', found: string): void {
  const said = manifest[field] ?? [];
  if (said.length === 1 && said[0] === found) return;
  throw new Error(
    `package.json says "${field}": ${JSON.stringify(said)}, but ${file} was built for ${found}: write ${JSON.stringify([found])} there for a package of what was built here`,
  );
}

for (const file of NATIVE) {
  const program = readFileSync(join(directory, file));
  const machine = program.readUInt8(5) === 2 ? program.readUInt16BE(18) : program.readUInt16LE(18);
  hold(file, 'os', program.subarray(0, 4).equals(Buffer.from('\x7fELF')) ? 'linux' : 'something else');
  hold(file, 'cpu', MACHINES[machine] ?? `machine ${machine}`);
  // A program that is linked statically needs none.
  const library = LIBRARIES.find(([name]) => program.includes(name))?.[1];
  if (library !== undefined) hold(file, 'libc', library);
}
