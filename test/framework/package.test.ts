/** The package as npm would install it: packed, unpacked elsewhere, and imported from there, with its types. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { execa } from 'execa';
import { temporaryDirectory, top } from '../support/daemons.js';

const PROGRAM = `
import { cgroupMetrics, holdProcess, runRuncShim, runShim, signalProcess, startProcess, type Container, type Shim } from 'hawser/shim';
import { Runtime } from 'hawser/runc';
import { connect, Server } from 'hawser/ttrpc';
import { errdefs } from 'hawser/api';

export const shim: Shim = {
  create: (container: Container) => startProcess(container, container.spec.process?.args ?? []).pid,
  start() {},
  kill({ pid }, signal, { all }) { signalProcess(pid, signal, { all }); },
  delete({ id }) { throw errdefs.notFound(id); },
  stats: ({ pid }) => cgroupMetrics(pid),
};
console.log([runShim, runRuncShim, holdProcess, Runtime, connect, Server].map((one) => typeof one).join(' '));
`;

test('the packed package has all that its libraries need, types too', { timeout: 120_000 }, async () => {
  const dir = temporaryDirectory('packed');
  try {
    const { stdout } = await execa('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', dir], { cwd: top, stdin: 'ignore' });
    const modules = join(dir, 'node_modules');
    mkdirSync(join(modules, 'hawser'), { recursive: true });
    await execa('tar', ['-xzf', join(dir, stdout.trim()), '-C', join(modules, 'hawser'), '--strip-components=1']);
    // What npm would fetch: what package.json asks for, and what that needs; nothing of ours can come from there.
    for (const name of readdirSync(join(top, 'node_modules')).filter((one) => one !== 'hawser' && !one.startsWith('.'))) symlinkSync(join(top, 'node_modules', name), join(modules, name));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(join(dir, 'program.mts'), PROGRAM);
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
      compilerOptions: { target: 'ES2022', lib: ['ES2023'], module: 'NodeNext', strict: true, exactOptionalPropertyTypes: true, skipLibCheck: true, types: ['node'] }, include: ['program.mts'],
    }));
    const compiled = await execa(join(top, 'node_modules/.bin/tsc'), ['-p', dir], { all: true, reject: false });
    assert.equal(compiled.exitCode, 0, compiled.all);
    const ran = await execa('node', ['program.mjs'], { cwd: dir });
    assert.equal(ran.stdout, 'function function function function function function');
    const { exports } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { exports: Record<string, { types?: string }> };
    for (const { types } of Object.values(exports)) if (types !== undefined) readFileSync(join(modules, 'hawser', types));
  } finally {
    rmSync(dir, { recursive: true });
  }
});
