/**
 * What is native, built for arm64 by the cross compiler, warnings being errors; and unit tests on an arm64 Node, by QEMU's emulation of one
 * process. Left out, with a word, where there is no cross compiler or no emulator: `sh src/build/release/setup.sh arm64` installs both.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch } from 'node:process';
import { join } from 'node:path';
import { test } from 'node:test';
import { execa } from 'execa';
import { neededLibraries } from '../../src/build/release/elf.js';
import { machineOf } from '../../src/build/release/machines.js';
import { nodePin, part } from '../../src/build/release/parts.js';
import { top } from '../support/daemons.js';

const machine = machineOf('arm64');
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const compiler = arch === 'arm64' ? 'cc' : `${machine.triplet}-gcc`;
const noCompiler = !has(compiler) && `there is no ${compiler}: run 'sh src/build/release/setup.sh arm64'`;
const noEmulator =
  noCompiler ||
  (!has(machine.emulator) && `there is no ${machine.emulator}: run 'sh src/build/release/setup.sh arm64'`);
const PARTS = ['containerd-shim-runc-v2', 'hawser-stand-in', 'hawser-after', 'hawser_sys.node'];
const E_MACHINE_AARCH64 = 183;

test('all that is native compiles for arm64', { skip: noCompiler, timeout: 120_000 }, () => {
  execFileSync('make', ['-s', '-C', top, 'native-arm64'], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (const name of PARTS) {
    const file = join(top, 'dist/native/arm64', name);
    assert.equal(readFileSync(file).readUInt16LE(18), E_MACHINE_AARCH64, name);
    // Segments are aligned for pages of up to 64 KiB: a kernel that has those loads no others.
    const headers = execFileSync('readelf', ['-lW', file], { encoding: 'utf8' });
    const alignments = [...headers.matchAll(/^ +LOAD .* (0x[0-9a-f]+)$/gm)].map(([, one]) => Number(one));
    assert.ok(alignments.length > 0 && alignments.every((one) => one >= 65_536), `${name}: ${alignments.join(' ')}`);
    if (!name.endsWith('.node')) assert.deepEqual(neededLibraries(file), [], name);
  }
});

/** What runs by emulation: that needs no process of its own, which would be emulated only where the kernel is told of the emulator. */
const UNITS = (process.env.UNITS ?? 'sys-files sys-descriptors sys-terminal ttrpc-wire client-security').split(' ');

for (const name of UNITS) {
  test(`unit/${name} on arm64`, { skip: noEmulator, timeout: 240_000 }, async () => {
    const run = await emulated('--import', 'tsx', `test/unit/${name}.test.ts`);
    assert.equal(run.exitCode, 0, run.all);
    assert.match(run.all ?? '', /pass [1-9]/);
  });
}

function emulated(...args: string[]) {
  const node = join(part(nodePin(machine)), 'bin/node');
  const addon = join(top, 'dist/native/arm64/hawser_sys.node');
  const preload = `data:text/javascript,globalThis.HAWSER_ADDON=${JSON.stringify(addon)}`;
  const command = arch === 'arm64' ? [node] : [machine.emulator, '-L', `/usr/${machine.triplet}`, node];
  return execa(command[0]!, [...command.slice(1), '--import', preload, ...args], {
    cwd: top,
    all: true,
    reject: false,
    stdin: 'ignore',
    // esbuild, which reads TypeScript, need not be emulated.
    env: {
      ESBUILD_BINARY_PATH: join(top, `node_modules/@esbuild/linux-${arch}/bin/esbuild`),
      NODE_TEST_CONTEXT: undefined,
    },
  });
}
