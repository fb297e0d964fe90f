/**
 * Images from registries by the command line: pull, login, and run of what is missing.
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { execa } from 'execa';
import { Registry, USER } from '../support/registry.js';
import { digestOf, ScriptedRegistry } from '../support/scripted-registry.js';
import { eventually } from '../support/eventually.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
let registry: ScriptedRegistry;
let name: string;

before(async () => {
  lab = await Lab.open();
  registry = await ScriptedRegistry.start();
  const layer = execFileSync('tar', ['-C', lab.rootfs, '-cf', '-', '.'], { maxBuffer: 64 << 20 });
  registry.putImage('box', 'latest', [layer], { config: { Env: ['PATH=/bin'], Cmd: ['echo', 'from a registry'] } });
  name = `${registry.host}/box:latest`;
});
after(async () => {
  await registry.stop();
  await lab.close();
});
afterEach(async () => {
  registry.fault = () => undefined;
  registry.seen.length = 0;
  for (const one of (await lab.ok(['images', '--format', '{{.Name}}'])).split('\n').filter(Boolean))
    await lab.ok(['images', 'rm', one]);
});

test('pull: plain lines without a terminal, and the name for a program', async () => {
  const { stdout, stderr, exitCode } = await lab.hawser(['pull', `${registry.host}/box`]);
  assert.deepEqual([stdout, exitCode], [name, 0], stderr);
  const lines = stderr.split('\n');
  assert.equal(lines[0], `pulling ${registry.host}/box`);
  assert.equal(lines.at(-1), 'unpacked 1 layer');
  assert.equal(lines.filter((line) => /^[0-9a-f]{12}: [\d.]+k?M?B$/.test(line)).length, 2, stderr);
  const quiet = await lab.hawser(['pull', '-q', name]);
  assert.deepEqual([quiet.stdout, quiet.stderr], [name, '']);
  assert.equal((await lab.run([], [])).exitCode, 125);
  assert.equal(await lab.ok(['run', '--rm', `${registry.host}/box`]), 'from a registry');
});

test('pull at a terminal: a bar with bytes, and nothing of it left', async () => {
  let seen = (): void => undefined;
  const half = new Promise<void>((resolve) => (seen = resolve));
  let asked = 0;
  registry.fault = ({ path }) => {
    if (!path.includes('/blobs/') || registry.blobs.get(path.slice(path.lastIndexOf('/') + 1))!.length < 100_000)
      return undefined;
    return asked++ === 0 ? { cutAfter: 500_000 } : { until: half };
  };
  const terminal = lab.terminal(['pull', name], { cols: 100, rows: 24 });
  await terminal.shows(/\[=+ +\] [\d.]+kB\/[\d.]+MB/);
  await terminal.shows(/pulling \S+ [\d.]+kB\/[\d.]+MB/);
  seen();
  assert.equal(await terminal.ends(), 0);
  assert.match(terminal.screen, new RegExp(`\\x1b\\[J${name}\\r\\n$`));
});

test('a pull that is killed leaves no image, and the next one goes on where it was', async () => {
  const layer = [...registry.blobs].find(([, data]) => data.length > 100_000)![0];
  let asked = 0;
  registry.fault = ({ path }) => {
    if (!path.endsWith(layer)) return undefined;
    return asked++ === 0 ? { cutAfter: 700_000 } : { until: new Promise(() => undefined) };
  };
  const child = spawn(PROGRAM, ['pull', '-q', name], { env: lab.env, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await eventually('half of the layer to be there', () => asked === 2);
  child.kill('SIGKILL');
  await ended;
  assert.equal(await lab.ok(['images', '-q']), '');
  registry.fault = () => undefined;
  assert.equal(await lab.ok(['pull', '-q', name]), name);
  assert.match(registry.requests(layer).at(-1)!.headers.range ?? '', /^bytes=[1-9]\d{4,}-$/);
  assert.equal((await lab.daemon.ctr(['leases', 'ls', '-q'])).stdout, '', 'no lease is left of either');
});

test('run fetches what is missing, always, or never', async () => {
  const run = (...flags: string[]): ReturnType<Lab['hawser']> => lab.hawser(['run', '--rm', ...flags, name]);
  const never = await run('--pull', 'never');
  assert.equal(never.exitCode, 125);
  assert.match(never.stderr, /^hawser: image \S+ is not there: fetch it with `hawser pull \S+`/);
  assert.equal(registry.seen.length, 0);
  const first = await run();
  assert.deepEqual([first.stdout, first.exitCode], ['from a registry', 0]);
  assert.match(first.stderr, /^pulling /);
  registry.seen.length = 0;
  const second = await run('--pull=missing');
  assert.deepEqual([second.stdout, second.stderr, registry.seen.length], ['from a registry', '', 0]);
  const always = await run('--pull', 'always', '-q');
  assert.deepEqual([always.stdout, always.stderr], ['from a registry', '']);
  assert.equal(registry.seen.length, 1);
  // What is here for one platform is nothing for another.
  assert.equal((await run('--platform', 'linux/amd64')).stdout, 'from a registry');
  const other = await run('--platform', 'linux/s390x');
  assert.equal(other.exitCode, 125, other.stderr);
  assert.match(other.stderr, /has nothing for linux\/s390x, but for linux\/amd64/);
  assert.match((await run('--pull', 'now')).stderr, /^hawser: --pull "now": there are always, missing and never/);
});

test('what goes wrong is told in a line', async () => {
  for (const [args, exitCode, says] of [
    [
      ['pull', '-q', `${registry.host}/none`],
      1,
      /^hawser: image 127\S+\/none cannot be pulled: image 127\S+\/none:latest: 127\S+ has none$/,
    ],
    [['run', '-q', `${registry.host}/none`], 125, /^hawser: image 127\S+\/none cannot be pulled: /],
    [
      ['pull', '-q', '127.0.0.1:1/x'],
      1,
      /cannot be pulled: image 127\.0\.0\.1:1\/x:latest: 127\.0\.0\.1:1 cannot be reached: nobody listens there$/,
    ],
    [['pull', '-q', 'No'], 1, /cannot be pulled: "No" is no name of an image: a repository has small letters only/],
    [['pull', '-q', '--platform', 'linux/s390x', name], 1, /has nothing for linux\/s390x, but for linux\/amd64/],
    [['login', '-u', 'x', registry.host], 125, /standard input is no terminal to ask at/],
    [['login', '--password-stdin', registry.host], 125, /--password-stdin: give the name with --username/],
  ] as const) {
    const result = await lab.hawser(args);
    assert.match(result.stderr, says);
    assert.equal(result.stderr.split('\n').length, 1, result.stderr);
    assert.equal(result.exitCode, exitCode);
  }
});

test('login and logout: kept as docker keeps it, and used', async () => {
  const real = await Registry.start({ password: true });
  const file = join(lab.daemon.dir, '.docker/config.json');
  const login = (password: string, ...more: string[]): ReturnType<Lab['hawser']> =>
    lab.hawser(['login', '-u', USER.username, ...more, real.host], { input: password });
  try {
    const wrong = await login('wrong', '--password-stdin');
    assert.equal(wrong.exitCode, 1);
    assert.match(wrong.stderr, /^hawser: login to 127\S+ as someone fails: it does not take this name and password/);
    const without = await lab.hawser(['pull', '-q', `${real.host}/box`]);
    assert.match(without.stderr, /log in with `hawser login` or `docker login`/);

    mkdirSync(join(lab.daemon.dir, '.docker'), { recursive: true });
    writeFileSync(file, '{"psFormat":"x"}');
    const right = await login(`${USER.password}\n`, '--password-stdin');
    assert.deepEqual([right.exitCode, right.stdout], [0, 'Login Succeeded'], right.stderr);
    assert.match(right.stderr, /the password is kept as it is in \S+config\.json/);
    const config = JSON.parse(readFileSync(file, 'utf8')) as {
      psFormat: string;
      auths: Record<string, { auth: string }>;
    };
    assert.equal(config.psFormat, 'x');
    assert.equal(Buffer.from(config.auths[real.host]!.auth, 'base64').toString(), `${USER.username}:${USER.password}`);
    const known = await lab.hawser(['pull', '-q', `${real.host}/box`]);
    assert.match(known.stderr, /has none/);
    assert.equal(await lab.ok(['logout', real.host]), `Removing login credentials for ${real.host}`);
    assert.equal(await lab.ok(['logout', real.host]), `Not logged in to ${real.host}`);

    const typed = lab.terminal(['login', real.host]);
    await typed.shows(/Username for \S+: /);
    typed.type(`${USER.username}\r`);
    await typed.shows(/Password: /);
    typed.type(`${USER.password}\r`);
    assert.equal(await typed.ends(), 0, typed.screen);
    assert.match(typed.screen, /Login Succeeded/);
    assert.ok(!typed.screen.includes(USER.password), 'a password is not shown');
  } finally {
    await real.stop();
  }
});

test('tag, push, history, save, load, rmi by id, prune', async () => {
  const real = await Registry.start();
  try {
    await lab.ok(['pull', '-q', name]);
    const to = `${real.host}/some/box:v1`;
    await lab.ok(['tag', name, to]);
    const digest = registry.manifests.get('box:latest')!.data;
    const pushed = await lab.hawser(['push', to]);
    assert.deepEqual([pushed.exitCode, pushed.stdout], [0, `${to} ${digestOf(digest)}`], pushed.stderr);
    assert.match(pushed.stderr, /^pushing \S+\n[0-9a-f]{12}: /);
    assert.match(
      await lab.ok(['history', to]),
      /^LAYER +CREATED +CREATED BY +SIZE +COMMENT\n[0-9a-f]{12} +N\/A +[\d.]+MB$/,
    );

    const archive = join(lab.daemon.dir, 'saved.tar');
    await lab.ok(['save', '-o', archive, to]);
    const id = await lab.ok(['images', '-q', '-f', `name==${to}`]);
    assert.match(
      (await lab.hawser(['rmi', id])).stderr,
      /it has the names \S+, \S+: remove one of them, or all of them with -f/,
    );
    await lab.ok(['rmi', '-f', id]);
    assert.equal(await lab.ok(['images', '-q']), '');
    assert.equal(await lab.ok(['load', '-q', '-i', archive]), to);
    assert.equal(await lab.ok(['run', '--rm', '--pull', 'never', to]), 'from a registry');
    assert.equal(await lab.ok(['images', 'prune', '-f']), 'Total reclaimed space: 0B');
    const lines = (await lab.ok(['image', 'prune', '-af'])).split('\n');
    assert.equal(lines[0], to);
    assert.match(lines[1]!, /^Total reclaimed space: [\d.]+MB$/);
    assert.equal(await lab.ok(['run', '--rm', '-q', to]), 'from a registry', 'the real registry has it');
  } finally {
    await real.stop();
  }
});

/** The system calls by which daemon and registry are told something. */
const SAYS = ['write', 'writev'];
/** Of some ninety steps; 1 tries them all, in minutes. */
const EVERY = 4;

test(
  'killed at any word to daemon or registry, no half image is left, and the next pull works',
  { timeout: 540_000 },
  async (t) => {
    /** @returns whether it was killed; each call is counted by itself */
    const killedAt = async (call: string, n: number): Promise<boolean> => {
      const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=SIGKILL:when=${n}`];
      const args = ['-qq', '-o', '/dev/null', ...inject, PROGRAM, 'pull', '-q', name];
      const { signal, exitCode, stderr } = await execa('strace', args, {
        env: lab.env,
        extendEnv: false,
        stdin: 'ignore',
        reject: false,
      });
      if (signal === 'SIGKILL' || exitCode === 137) return true;
      assert.equal(exitCode, 0, stderr);
      return false;
    };
    const leases = async (): Promise<string> => (await lab.daemon.ctr(['leases', 'ls', '-q'])).stdout;
    let steps = 0;
    for (const call of SAYS) {
      for (let n = 1; await killedAt(call, n); n += EVERY, steps++) {
        // It has its name when all of it is there.
        if ((await lab.ok(['images', '-q'])) !== '')
          assert.equal(await lab.ok(['run', '--rm', '--pull', 'never', name]), 'from a registry', `${call} ${n}`);
        assert.equal(await lab.ok(['pull', '-q', name]), name, `after ${call} ${n}`);
        assert.equal(await leases(), '', `after ${call} ${n}`);
        await lab.ok(['rmi', name]);
      }
      await lab.ok(['rmi', name]);
    }
    t.diagnostic(`killed at ${steps} steps`);
    assert.ok(steps >= 10, `${steps} steps`);
  },
);
