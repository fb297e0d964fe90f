/** What the command line does before it does anything: it is to be quick, and the same as if it weren't. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Command } from 'commander';
import { execa } from 'execa';
import { frame } from '../../src/client/grpc/frames.js';
import { program } from '../../src/cli/program/index.js';
import { top } from '../support/daemons.js';

const dir = mkdtempSync(join(tmpdir(), 'hawser-cli-start-'));
after(() => rmSync(dir, { recursive: true }));

const told = (command: Command): unknown => [
  command.name(),
  command.aliases(),
  command.usage(),
  command.options.map(({ flags, description }) => [flags, description]),
  command.commands.map(told),
];

test('a command is declared alike, whether or not all others are', () => {
  const all = program();
  const names = all.commands.flatMap((one) => [one.name(), ...one.aliases()]);
  let fewer = 0;
  for (const name of names) {
    const find = (top: Command): Command | undefined =>
      top.commands.find((one) => one.name() === name || one.aliases().includes(name));
    for (const before of [[], ['-n', 'run'], ['--address', 'ps'], ['--namespace=x']]) {
      const few = program([...before, name, 'run', '--help']);
      const found = find(few);
      assert.ok(found, name);
      assert.deepEqual(told(found), told(find(all)!));
      if (few.commands.length < all.commands.length) fewer++;
    }
  }
  assert.ok(fewer > names.length, `${fewer} of ${names.length}`);
  // A hint needs to know them all, and so does help.
  for (const args of [['pss', 'run'], ['help', 'run'], ['--help'], ['container', 'ls'], ['-n', 'ps']])
    assert.equal(program(args).commands.length, all.commands.length, args.join(' '));
});

test('--version needs no Node, and says what hawser itself would', async () => {
  mkdirSync(join(dir, 'bin'));
  mkdirSync(join(dir, 'lib/hawser'), { recursive: true });
  const hawser = join(dir, 'bin/hawser');
  copyFileSync(join(top, 'npm/hawser'), hawser);
  const library = join(dir, 'lib/hawser');
  for (const name of ['hawser.cjs', 'hawser.bundle.js', 'hawser.version', 'find-node.sh'])
    copyFileSync(join(top, 'dist', name), join(library, name));
  const env = { PATH: '/no/where' };
  for (const flag of ['--version', '-v']) {
    const [{ stdout }, node] = await Promise.all([
      execa(hawser, [flag], { env, extendEnv: false }),
      execa(process.execPath, [join(library, 'hawser.cjs'), flag]),
    ]);
    assert.equal(stdout, node.stdout);
  }
  assert.match(
    (await execa(hawser, ['ps'], { env, extendEnv: false, reject: false })).stderr,
    /there is no Node to run it/,
  );
  // Where its file is missing, Node says it.
  rmSync(join(library, 'hawser.version'));
  symlinkSync(process.execPath, join(library, 'node'));
  assert.match((await execa(hawser, ['--version'], { env, extendEnv: false })).stdout, /^hawser \d/);
});

test('the compiled code that was built is taken, and none, or bad code, is no harm', async () => {
  const script = `
    const { readFileSync } = require('node:fs');
    const vm = require('node:vm');
    const Script = vm.Script;
    vm.Script = class extends Script {
      constructor(source, options) {
        super(source, options);
        console.log(options.filename, this.cachedDataRejected);
      }
    };
    process.argv.splice(1, 0, process.env.HAWSER);
    require(process.env.HAWSER);`;
  const library = join(dir, 'library');
  mkdirSync(library);
  for (const name of ['hawser.cjs', 'hawser.bundle.js']) copyFileSync(join(top, 'dist', name), join(library, name));
  const run = async (...words: string[]): Promise<string> =>
    (
      await execa(join(top, 'dist/node'), ['-e', script, '--', ...(words.length > 0 ? words : ['--version'])], {
        env: { HAWSER: join(library, 'hawser.cjs') },
        // Not each of them has what it needs here.
        reject: false,
      })
    ).stdout;
  const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string };
  assert.equal(await run(), `hawser.bundle.js undefined\nhawser ${version}`);
  copyFileSync(join(top, 'dist/hawser.cache'), join(library, 'hawser.cache'));
  assert.equal(await run(), `hawser.bundle.js false\nhawser ${version}`);
  writeFileSync(join(library, 'hawser.cache'), 'of another Node');
  assert.equal(await run(), `hawser.bundle.js true\nhawser ${version}`);

  // What is asked most has a bundle of its own, where that is there; a word in another place is no command.
  const loaded = async (...words: string[]): Promise<string | undefined> =>
    (await run(...words, '--help')).split('\n')[0];
  assert.equal(await loaded('ps'), 'hawser.bundle.js true');
  for (const name of ['hawser.ps.bundle.js', 'hawser.ps.cache'])
    copyFileSync(join(top, 'dist', name), join(library, name));
  for (const words of [['ps'], ['ls'], ['-n', 'run', 'ps'], ['--address', '/run', '--cni-path=ps', 'ls']])
    assert.equal(await loaded(...words), 'hawser.ps.bundle.js false', words.join(' '));
  for (const words of [
    ['run', 'ps'],
    ['-n', 'ps'],
    ['--address', 'ps', 'run'],
    ['container', 'ls'],
    ['help', 'ps'],
    [],
  ])
    assert.equal(await loaded(...words), 'hawser.bundle.js true', words.join(' '));
});

test('looking at containers needs no addon, and nothing that unpacks or compresses', async () => {
  const daemon = createServer();
  daemon.on('stream', (stream) => {
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame(new Uint8Array(0)));
  });
  const socket = join(dir, 'daemon');
  await new Promise<void>((resolve) => void daemon.listen(socket, resolve));
  const script = `
    const loaded = [];
    const { dlopen } = process;
    process.dlopen = (module, path, ...rest) => (loaded.push(path.replace(/.*\\//, '')), dlopen(module, path, ...rest));
    const before = new Set(process.moduleLoadList);
    process.on('exit', () => {
      const late = process.moduleLoadList.filter((one) => /^NativeModule (zlib|child_process|fs\\/promises|dns|readline)$/.test(one) && !before.has(one));
      console.log([...loaded, ...late].join(' ') || 'none');
    });
    process.argv.splice(1, 0, process.env.HAWSER);
    require(process.env.HAWSER);`;
  const run = async (...args: string[]): Promise<string> =>
    (
      await execa(join(top, 'dist/node'), ['-e', script, '--', '-a', socket, ...args], {
        env: { HAWSER: join(top, 'dist/hawser.cjs') },
        reject: false,
      })
    ).stdout;
  try {
    assert.equal(await run('ps', '-q'), 'none');
    assert.equal(await run('images', '-q'), 'none');
    // What needs it has it, wherever it is asked first.
    assert.match(await run('run', '--rm', '--network', 'none', '--rootfs', dir, 'true'), /^hawser_sys\.node\b/);
    // And says so where there is none.
    const without = join(dir, 'without');
    mkdirSync(without);
    for (const name of ['hawser.cjs', 'hawser.bundle.js']) copyFileSync(join(top, 'dist', name), join(without, name));
    const bare = async (...args: string[]): Promise<string> =>
      (await execa(join(top, 'dist/node'), [join(without, 'hawser.cjs'), '-a', socket, ...args], { reject: false }))
        .stderr;
    assert.equal(await bare('ps', '-q'), '');
    assert.match(
      await bare('run', '--rm', '--network', 'none', '--rootfs', dir, 'true'),
      /addon does not load from .*without/,
    );
  } finally {
    daemon.close();
  }
});
