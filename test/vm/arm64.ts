/**
 * `make test-arm64`: Hawser's archive for arm64 on an emulated arm64 machine (see run), with containerd, dockerd and runc of Debian 13 for arm64,
 * once for each size of pages that Debian has a kernel for: PAGES=16k chooses.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MACHINE, startGuest, TOP } from './guest.js';

const TIMEOUT_S = 3600;
/** By how much the guest is slower than the machine that emulates it, with room for other work on it. */
const PATIENCE = Number(process.env.HAWSER_TEST_PATIENCE ?? 20);
const BYTES: Readonly<Record<string, string>> = { '4k': '4096', '16k': '16384' };
const pages = process.env.PAGES?.split(',').filter(Boolean) ?? [];

const { status: impossible, stdout: why } = spawnSync(MACHINE, ['--arm64', '--impossible'], { encoding: 'utf8' });
if (impossible === 0) {
  console.error(`arm64 is NOT TESTED: this machine cannot have a virtual machine for it: ${why.trim()}`);
  process.exit(process.argv.includes('--where-possible') ? 0 : 1);
}
const release = join(TOP, 'dist/release');
const archive = readdirSync(release).find((name) => /^hawser-.*-linux-arm64\.tar\.gz$/.test(name));
if (archive === undefined) throw new Error(`${release} has no archive for arm64: run 'make dist RELEASE=arm64'`);

let failed = 0;
for (const size of pages.length > 0 ? pages : Object.keys(BYTES)) {
  const bytes = BYTES[size];
  if (bytes === undefined) throw new Error(`PAGES=${size}: there are kernels for ${Object.keys(BYTES).join(' and ')}`);
  console.log(`on arm64 with pages of ${size}:`);
  const child = startGuest([
    '--arm64',
    '--pages',
    size,
    '--timeout',
    String(TIMEOUT_S),
    '--env',
    `HAWSER_TEST_PATIENCE=${PATIENCE}`,
    '--',
    'sh',
    `${TOP}/test/vm/arm64/steps.sh`,
    join(release, archive),
    bytes,
  ]);
  child.stdout.pipe(process.stdout);
  const [status] = (await once(child, 'close')) as [number | null];
  failed ||= status ?? 1;
}
process.exitCode = failed;
