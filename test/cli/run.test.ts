/** hawser run: what goes in, what comes out, and how it ends. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { until } from '../support/daemons.js';
import { Lab, PROGRAM } from './lab.js';

let lab: Lab;
before(async () => {
  lab = await Lab.open();
});
after(() => lab.close());

test('both outputs, and the exit status of the container', async () => {
  const { stdout, stderr, exitCode } = await lab.run(['--rm'], ['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual([stdout, stderr, exitCode], ['out', 'err', 3]);
});

test("exit statuses are docker's: 127 for no such program, 126 for no program, 128+n for a signal, 125 for ours", async () => {
  const missing = await lab.run(['--rm'], ['no-such-program']);
  assert.equal(missing.exitCode, 127);
  assert.match(
    missing.stderr,
    /^hawser: container \w{12}: "no-such-program" is not in its root file system, or not in its PATH: /,
  );
  const directory = await lab.run(['--rm'], ['/etc']);
  assert.equal(directory.exitCode, 126, directory.stderr);
  // A process that is its container's first one cannot kill itself.
  assert.equal((await lab.run(['--rm', '--pid', 'host'], ['sh', '-c', 'kill -9 $$'])).exitCode, 137);
  assert.equal((await lab.run(['--rm', '--memory', 'plenty'], ['true'])).exitCode, 125);
  assert.equal(await lab.ok(['ps', '-aq']), '', 'nothing is left of those that could not be started');
});

test('-i: a mebibyte through standard input and back, and its end', async () => {
  const input = randomBytes(1 << 20);
  const { stdout, exitCode } = await lab.run(['--rm', '-i'], ['md5sum'], { input });
  assert.deepEqual([stdout, exitCode], [`${createHash('md5').update(input).digest('hex')}  -`, 0]);
  const back = await lab.run(['--rm', '-i'], ['cat'], { input, encoding: 'buffer' });
  assert.ok(input.equals(back.stdout as unknown as Uint8Array));
});

test('output is exact, whatever it is written to', async () => {
  const expected = (await execa('seq', ['200000'])).stdout;
  assert.equal((await lab.run(['--rm'], ['seq', '200000'])).stdout, expected);
  const file = join(lab.daemon.dir, 'out');
  await execa('sh', ['-c', `exec ${PROGRAM} run --rm --rootfs ${lab.rootfs} seq 200000 >${file}`], {
    env: lab.env,
    stdin: 'ignore',
  });
  assert.equal(readFileSync(file, 'utf8').trimEnd(), expected);
});

test('a reader that has had enough is no failure', async () => {
  const { stdout, stderr } = await execa(
    'sh',
    ['-c', `${PROGRAM} run --rm --rootfs ${lab.rootfs} seq 1000000 | head -n 2`],
    { env: lab.env, stdin: 'ignore', reject: false },
  );
  assert.deepEqual([stdout, stderr], ['1\n2', '']);
  await until('the container to be killed and removed', async () => (await lab.ok(['ps', '-aq'])) === '');
});

test("environment: flags over files, a name alone takes the shell's value", async () => {
  const file = join(lab.daemon.dir, 'env');
  writeFileSync(file, '# a comment\nA=file\nB=file\n');
  const { stdout } = await lab.run(
    ['--rm', '--env-file', file, '-e', 'B=flag', '-e', 'HOME_OF', '-e', 'NOT_SET'],
    ['sh', '-c', 'echo $A $B $HOME_OF ${NOT_SET-unset}'],
    { env: { ...lab.env, HOME_OF: 'shell' } },
  );
  assert.equal(stdout, 'file flag shell unset');
});

test('mounts, directory, user, host name, read-only', async () => {
  const source = join(lab.daemon.dir, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'bound\n');
  const { stdout, stderr } = await lab.run(
    [
      '--rm',
      '-v',
      `${source}:/data:ro`,
      '--mount',
      `type=bind,src=${source},dst=/more`,
      '--tmpfs',
      '/run:size=64k',
      '-w',
      '/tmp',
      '-u',
      'nobody',
      '-h',
      'moored',
      '--read-only',
    ],
    [
      'sh',
      '-c',
      'cat /data/file; (echo x >/data/new) 2>/dev/null || echo ro; cat /more/file; grep -c " /run " /proc/mounts; echo $PWD; id -u; hostname; (echo >/new) 2>/dev/null || echo readonly',
    ],
  );
  assert.equal(stdout, 'bound\nro\nbound\n1\n/tmp\n65534\nmoored\nreadonly', stderr);
});

test('limits reach the kernel', async () => {
  await lab.start('limited', 'sleep 100', [
    '--memory',
    '64m',
    '--cpus',
    '0.5',
    '--pids-limit',
    '20',
    '--cpu-shares',
    '512',
  ]);
  const spec = JSON.parse(await lab.ok(['inspect', '-f', '{{json .Spec.linux.resources}}', 'limited'])) as Record<
    string,
    Record<string, number>
  >;
  assert.equal(spec.memory!.limit, 64 * 1024 * 1024);
  assert.deepEqual([spec.cpu!.quota! / spec.cpu!.period!, spec.cpu!.shares, spec.pids!.limit], [0.5, 512, 20]);
  assert.equal(
    await lab.ok(['inspect', '-f', '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}', 'limited']),
    '67108864 500000000',
  );
  assert.match(await lab.ok(['stats', '--no-stream', '--format', '{{.MemUsage}}', 'limited']), /\/ 64MiB$/);
  await lab.ok(['rm', '-f', 'limited']);
});

test('capabilities and --privileged', async () => {
  const eff = async (...flags: string[]): Promise<bigint> =>
    BigInt(
      `0x${(await lab.ok(['run', '--rm', ...flags, '--rootfs', lab.rootfs, 'grep', 'CapEff', '/proc/self/status'])).split(/\s+/)[1]!}`,
    );
  const usual = await eff();
  const netAdmin = 1n << 12n;
  assert.equal(usual & netAdmin, 0n);
  assert.equal((await eff('--cap-add', 'NET_ADMIN')) & netAdmin, netAdmin);
  assert.equal(await eff('--cap-drop', 'ALL'), 0n);
  assert.equal((await eff('--privileged')) & netAdmin, netAdmin);
});

test('--cidfile and --pidfile; an id file that is there is refused before anything is made', async () => {
  const [cid, pid] = [join(lab.daemon.dir, 'cid'), join(lab.daemon.dir, 'pid')];
  const id = await lab.ok(['run', '-d', '--cidfile', cid, '--pidfile', pid, '--rootfs', lab.rootfs, 'sleep', '100']);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal(readFileSync(cid, 'utf8'), id);
  assert.equal(readFileSync(pid, 'utf8').trim(), await lab.ok(['inspect', '-f', '{{.State.Pid}}', id.slice(0, 6)]));
  const { exitCode, stderr } = await lab.run(['-d', '--cidfile', cid], ['true']);
  assert.equal(exitCode, 125);
  assert.match(stderr, /^hawser: --cidfile .*: it is there already: remove it, or name another$/);
  await lab.ok(['rm', '-f', id.slice(0, 12)]);
});

test("signals are the container's when there is no terminal", async () => {
  const running = execa(
    PROGRAM,
    [
      'run',
      '--rm',
      '--rootfs',
      lab.rootfs,
      'sh',
      '-c',
      'trap "echo got TERM; exit 7" TERM; echo ready; while :; do sleep 0.1; done',
    ],
    { env: lab.env, extendEnv: false, stdin: 'ignore', reject: false },
  );
  let seen = '';
  running.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  await until('the container to be ready', () => seen.includes('ready'));
  running.kill('SIGTERM');
  const { exitCode, stdout } = await running;
  assert.equal(exitCode, 7);
  assert.equal(stdout, 'ready\ngot TERM');
});

test('-d --rm: the container goes when it ends, and its files with it', async () => {
  const id = await lab.ok([
    'run',
    '-d',
    '--rm',
    '--name',
    'brief',
    '--rootfs',
    lab.rootfs,
    'sh',
    '-c',
    'until [ -e /tmp/go ]; do sleep 0.1; done',
  ]);
  assert.equal(id, 'brief');
  assert.equal(await lab.ok(['ps', '-q']), 'brief');
  writeFileSync(join(lab.rootfs, 'tmp/go'), '');
  await until('it to be removed', async () => (await lab.ok(['ps', '-aq'])) === '');
  assert.equal(
    existsSync(lab.env.HAWSER_DATA!) && (await execa('find', [lab.env.HAWSER_DATA!, '-name', 'brief'])).stdout !== '',
    false,
  );
});

test('a container that ends is kept, with how it ended, and can be started again', async () => {
  assert.equal((await lab.run(['--name', 'again'], ['sh', '-c', 'echo run; exit 4'])).exitCode, 4);
  assert.match(await lab.ok(['ps', '-a', '--format', '{{.Status}}', '--filter', 'name=again']), /^Exited \(4\) /);
  assert.equal(await lab.ok(['wait', 'again']), '4');
  assert.equal((await lab.hawser(['start', 'again'])).exitCode, 0);
  await until('it to end again', async () =>
    (await lab.ok(['ps', '-a', '--format', '{{.Status}}', '--filter', 'name=again'])).startsWith('Exited (4)'),
  );
  await lab.ok(['rm', 'again']);
});

test('an interrupt while it is being made leaves nothing', async () => {
  assert.equal(await lab.ok(['ps', '-aq']), '');
  const running = execa(PROGRAM, ['run', '--rm', '--rootfs', lab.rootfs, 'sleep', '100'], {
    env: lab.env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
  });
  await until('its record', async () => (await lab.daemon.ctr(['containers', 'ls', '-q'])).stdout !== '');
  for (let i = 0; i < 3; i++) running.kill('SIGINT');
  await until('it to end', async () => {
    if ((await Promise.race([running, delay(200)])) !== undefined) return true;
    // Where it came too late to interrupt the start, it was the container's to heed, which does not.
    await lab.hawser(['kill', ...(await lab.ok(['ps', '-q'])).split('\n').filter(Boolean)]);
    return false;
  });
  const { exitCode } = await running;
  assert.ok(exitCode === 130 || exitCode === 137, `ended with ${exitCode}`);
  await until('nothing to be left', async () => {
    await lab.hawser(['kill', ...(await lab.ok(['ps', '-q'])).split('\n').filter(Boolean)]);
    return (await lab.ok(['ps', '-aq'])) === '';
  });
});

test('run --rm: signals that come while it is removed leave nothing either', async () => {
  const over = join(lab.rootfs, 'tmp/over');
  rmSync(over, { force: true });
  const running = execa(PROGRAM, ['run', '--rm', '--rootfs', lab.rootfs, 'sh', '-c', 'sleep 1; >/tmp/over'], {
    env: lab.env,
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
  });
  const end = running.then(() => true);
  await until('it to be over', () => existsSync(over));
  // No shell heeds it as process 1, and passing it on ends no command.
  do running.kill('SIGHUP');
  while (!(await Promise.race([end, delay(3, false)])));
  await until('nothing to be left', async () => (await lab.ok(['ps', '-aq'])) === '');
});
