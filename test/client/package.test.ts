/** A program outside of the repository: what it imports, its types, and that it ends by itself. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import ts from 'typescript';
import { ClientLab } from '../support/client-lab.js';
import { temporaryDirectory, top } from '../support/daemons.js';

const PROGRAM = `
import { Client as Same } from 'hawser';
import { Client, NotFoundError, type Container, type Output } from 'hawser/client';

const client = await Client.connect();
const { rootfs, id } = { rootfs: process.argv[2]!, id: 'outside' };
const container: Container = await client.create({ id, rootfs, args: ['cat'], env: { PATH: '/bin' } });
const task = await container.start({ stdin: 'inherit', stdout: 'inherit' });
const { exitCode } = await task.wait();
await container.deleteTask();
const again = await container.start({ stdin: 'pipe' });
const output: Output = await container.output(['sh', '-c', 'echo exec; exit 2']);
console.log(Same === Client, exitCode, output.stdout.trim(), output.exitCode, await client.load('none').catch((error) => error instanceof NotFoundError));
// Neither this process nor its streams, nor the waiting for it, keeps the program.
void again.wait().catch((error: Error) => console.log(error.name));
const sleeping = await container.exec({ args: ['sleep', '1000'] });
void sleeping.result().catch((error: Error) => console.log(error.name));
client.close();
`;

let lab: ClientLab;
let dir: string;

before(async () => {
  assert.ok(existsSync(join(top, 'dist/client/index.js')), "the libraries are not built; run 'make lib'");
  lab = await ClientLab.open();
  dir = temporaryDirectory('outside');
  mkdirSync(join(dir, 'node_modules/@types'), { recursive: true });
  symlinkSync(top, join(dir, 'node_modules/hawser'));
  symlinkSync(join(top, 'node_modules/@types/node'), join(dir, 'node_modules/@types/node'));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(dir, 'program.ts'), PROGRAM);
});
after(async () => {
  rmSync(dir, { recursive: true });
  await lab.close();
});

test('declarations lead to what they are made of', () => {
  const map = JSON.parse(readFileSync(join(top, 'dist/client/index.d.ts.map'), 'utf8')) as { sources: string[] };
  assert.deepEqual(
    map.sources.map((source) => join(top, 'dist/client', source)),
    [join(top, 'src/client/index.ts')],
  );
  const packed = execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], {
    cwd: top,
    encoding: 'utf8',
  });
  const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
  const paths = new Set(files.map(({ path }) => path));
  for (const path of [
    'src/client/index.ts',
    'src/client/volume/types.ts',
    'src/shim/framework/types.ts',
    'src/ttrpc/index.ts',
  ])
    assert.equal(paths.has(path), existsSync(join(top, path)), path);
});

test('a program elsewhere has its types, runs, and ends by itself', { timeout: 60_000 }, async () => {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(dir, 'node_modules/@types')],
  };
  const program = ts.createProgram([join(dir, 'program.ts')], options);
  assert.deepEqual(
    ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    [],
  );
  program.emit();
  const stdout = await run([lab.daemon.rootfs], 'typed in\n');
  assert.equal(stdout, 'typed in\ntrue 0 exec 2 true\nUnavailableError\nUnavailableError');
  const container = await lab.client.load('outside');
  assert.equal((await container.status()).state, 'running');
  await container.delete({ kill: true });
  await lab.nothingLeft();
});

async function run(args: readonly string[], input: string): Promise<string> {
  const { socket, namespace } = lab.daemon;
  const { stdout } = await execa(process.execPath, [join(dir, 'program.js'), ...args], {
    input,
    timeout: 30_000,
    killSignal: 'SIGKILL',
    env: { CONTAINERD_ADDRESS: socket, CONTAINERD_NAMESPACE: namespace },
  });
  return stdout;
}
