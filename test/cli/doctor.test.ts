/** `hawser doctor` on this machine, and of an installation that is not whole. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execa } from 'execa';
import { temporaryDirectory, top } from '../support/daemons.js';

interface Finding {
  what: string;
  verdict: string;
  found: string;
  advice?: string;
}

const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
const options = { stdin: 'ignore', reject: false, extendEnv: false, env, cwd: '/' } as const;

async function findings(program: string, status: number, flags: string[] = []): Promise<Finding[]> {
  const { stdout, stderr, exitCode } = await execa(program, [...flags, 'doctor', '--json'], options);
  assert.deepEqual([exitCode, stderr], [status, ''], stdout);
  return JSON.parse(stdout) as Finding[];
}

test('nothing is wrong with a machine that the tests run on', async () => {
  const found = await findings(join(top, 'bin/hawser'), 0);
  assert.deepEqual(
    found.filter(({ verdict }) => verdict === 'wrong'),
    [],
  );
  for (const what of ['kernel', 'cgroups', 'Node', 'addon', 'shim', 'runc', 'containerd', 'docker'])
    assert.equal(found.find((one) => one.what === what)?.verdict, 'ok', what);
  for (const one of found) assert.equal(one.advice === undefined, one.verdict === 'ok', JSON.stringify(one));
  const { stdout, exitCode } = await execa(join(top, 'bin/hawser'), ['doctor'], options);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    stdout.split('\n').map((line) => line.split(/ {3,}/)[1]),
    found.map(({ what }) => what),
  );
});

test('a daemon that was named and is not there is wrong', async () => {
  const found = await findings(join(top, 'bin/hawser'), 1, ['--address', '/no/such.sock']);
  assert.deepEqual(
    found.filter(({ verdict }) => verdict === 'wrong').map(({ what }) => what),
    ['the socket that was named'],
  );
});

test('an installation that is not whole is told of by what is missing', async () => {
  const dir = temporaryDirectory('doctor');
  const library = join(dir, 'lib/hawser');
  const program = join(dir, 'bin/hawser');
  const wrong = async (): Promise<string[]> =>
    (await findings(program, 1)).filter(({ verdict }) => verdict === 'wrong').map(({ what }) => what);
  try {
    mkdirSync(join(library, 'bin'), { recursive: true });
    for (const name of ['hawser.cjs', 'hawser.bundle.js', 'find-node.sh', 'node-version.cjs'])
      cpSync(join(top, 'dist', name), join(library, name), { recursive: true });
    cpSync(join(top, 'npm/hawser'), program);
    symlinkSync(process.execPath, join(library, 'node'));
    assert.deepEqual(await wrong(), ['addon', 'shim']);
    writeFileSync(join(library, 'hawser_sys.node'), 'no library');
    cpSync(join(top, 'npm/containerd-shim-runc-v2'), join(library, 'bin/containerd-shim-runc-v2'));
    assert.deepEqual(await wrong(), ['addon', 'shim']);
    rmSync(join(library, 'node'));
    symlinkSync('/no/node', join(library, 'node'));
    assert.deepEqual(await wrong(), ['Node', 'addon', 'shim']);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
