/**
 * `make test-systemd`: Hawser on a whole Debian 13 with systemd, docker and containerd as services, in a virtual machine (see run),
 * beside the shim that comes with containerd. ONLY=docker,cri,poweroff chooses: files of test/systemd by name, and `poweroff`; SHIMS=hawser
 * leaves the other out. `make bench-systemd` (`systemd.ts --bench`) measures there instead.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { bundled, quote, startGuest, TOP } from './guest.js';

const BUNDLES = 'dist/vm-systemd';
const TIMEOUT_S = 3600;
const PATIENCE = 8;
const SHIMS = process.env.SHIMS?.split(',').filter(Boolean) ?? ['go', 'hawser'];

const only = process.env.ONLY?.split(',').filter(Boolean);
const isWanted = (name: string): boolean => only === undefined || only.length === 0 || only.includes(name);
const files = readdirSync(`${TOP}/test/systemd`)
  .flatMap((name) => /^(.+)\.test\.ts$/.exec(name)?.[1] ?? [])
  .filter(isWanted);

/** What run says of a machine that has ended by itself. */
const NO_STATUS = 125;

/**
 * Runs it there with Hawser installed as `make install` does it, and prints what it prints. Its status. A kernel that is emulated does not always
 * get as far as that: it is given a second chance.
 */
async function inGuest(script: string, options: readonly string[] = []): Promise<number> {
  const { status, hasBegun } = await boot(script, options);
  if (status !== NO_STATUS || hasBegun) return status;
  console.error('vm: it did not come up, and is started once more');
  return (await boot(script, options)).status;
}

async function boot(script: string, options: readonly string[]): Promise<{ status: number; hasBegun: boolean }> {
  const install = `cp -a ${quote(`${TOP}/${BUNDLES}/root`)}/. / && systemctl daemon-reload`;
  const child = startGuest([
    '--debian',
    '--timeout',
    String(TIMEOUT_S),
    '--env',
    `HAWSER_TEST_PATIENCE=${PATIENCE}`,
    '--env',
    `HAWSER_TEST_SHIMS=${SHIMS.join(',')}`,
    ...options,
    '--',
    'sh',
    '-c',
    `${install}\n${script}`,
  ]);
  let hasBegun = false;
  child.stdout.once('data', () => (hasBegun = true));
  child.stdout.pipe(process.stdout);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status: status ?? 1, hasBegun };
}

/** Five containers that end by SIGTERM, and the machine is switched off: run says how long that takes. */
async function poweroff(kind: string): Promise<number> {
  console.log(`powered off with five containers of ${kind}'s shim:`);
  return inGuest(`node --test --test-reporter=spec ${BUNDLES}/poweroff.test.js`, [
    '--poweroff',
    '--env',
    `HAWSER_TEST_SHIM=${kind}`,
  ]);
}

async function testAll(): Promise<number> {
  const suites = files.filter((name) => name !== 'poweroff');
  const bundles = await bundled(
    [...new Set([...suites, 'poweroff'])].map((name) => `systemd/${name}.test`),
    BUNDLES,
  );
  let failed = 0;
  if (suites.length > 0) {
    const runner = [
      'node',
      '--test',
      '--test-reporter=spec',
      '--test-concurrency=1',
      ...bundles.slice(0, suites.length),
    ];
    failed ||= await inGuest(`exec ${runner.map(quote).join(' ')}`);
  }
  if (isWanted('poweroff')) for (const kind of SHIMS) failed ||= await poweroff(kind);
  return failed;
}

execFileSync('make', ['--no-print-directory', '-s', 'install', 'PREFIX=/usr/local', `DESTDIR=${TOP}/${BUNDLES}/root`], {
  cwd: TOP,
  stdio: ['ignore', 'ignore', 'inherit'],
});
let failed = 0;
if (process.argv.includes('--bench')) {
  const [program = ''] = await bundled(['systemd/times.bench'], BUNDLES);
  failed = await inGuest(`exec node ${quote(program)}`, ['--env', 'ROUNDS']);
} else failed = await testAll();
rmSync(`${TOP}/${BUNDLES}`, { recursive: true });
process.exitCode = failed;
