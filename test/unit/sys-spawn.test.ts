import assert from 'node:assert/strict';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  limitChildrenNofile,
  makePipe,
  searchPath,
  signalPidfd,
  openPidfd,
  spawn,
  SysError,
  type SpawnOptions,
} from '../../src/sys/index.js';
import { execa } from 'execa';
import { captured, helper, leavesNothingOpen, openDescriptors, script, tempDir } from './fixtures/support.js';

interface Inspection {
  fds: Record<string, string>;
  pid: number;
  ppid: number;
  pgid: number;
  pdeathsig: number;
  blocked: string;
  ignored: string;
  cwd: string;
}

const nowhere = openSync('/dev/null', 'r+');
const quiet = [nowhere, nowhere, nowhere];

async function inspect(options: Omit<SpawnOptions, 'stdio'> = {}): Promise<Inspection> {
  return JSON.parse(
    await captured(async (write) => {
      const { exited } = spawn(helper(), ['helper', 'inspect'], { ...options, stdio: [nowhere, write, nowhere] });
      assert.equal(await exited, 0);
    }),
  ) as Inspection;
}

function sh(text: string, options: Partial<SpawnOptions> = {}): Promise<number> {
  return spawn('/bin/sh', ['sh', '-c', text], { stdio: quiet, ...options }).exited;
}

test('an exit code comes back as it is', async () => {
  for (const status of [0, 1, 7, 127, 255]) assert.equal(await sh(`exit ${status}`), status);
});

test('a signal comes back as 128 and its number', async () => {
  assert.equal(await sh('kill -KILL $$'), 137);
  assert.equal(await sh('kill -TERM $$'), 143);
  assert.equal(await sh('kill -SEGV $$'), 139);
});

test('a signal through a pidfd reaches the process', async () => {
  const { pid, exited } = spawn('/bin/sleep', ['sleep', '1000'], { stdio: quiet });
  const pidfd = openPidfd(pid);
  signalPidfd(pidfd, 15);
  assert.equal(await exited, 143);
  assert.throws(() => signalPidfd(pidfd, 15), { code: 'ESRCH', syscall: 'pidfd_send_signal' });
  closeSync(pidfd);
});

test('the child has the given descriptors and no others', async () => {
  const extra = openSync('/dev/zero', 'r');
  assert.ok(Object.keys(openDescriptors()).length > 4, 'this process has more to leak');
  const { fds } = await inspect();
  assert.deepEqual(Object.keys(fds), ['0', '1', '2']);
  assert.equal(fds[0], '/dev/null');
  closeSync(extra);
});

test('descriptors that another program left inheritable are closed too', async () => {
  const out = await captured(async (write) => {
    // The shell's 7 has no close-on-exec flag, and the helper that it becomes shows it; below it, ours does not.
    assert.equal(await sh(`exec 7</dev/zero; exec ${helper()} inspect`, { stdio: [nowhere, write, nowhere] }), 0);
  });
  assert.deepEqual(Object.keys((JSON.parse(out) as Inspection).fds), ['0', '1', '2', '7']);
});

test('no descriptors at all', async () => {
  assert.equal(await spawn('/bin/true', ['true'], { stdio: [] }).exited, 0);
});

test('descriptors in any order, and one in several places', async () => {
  const files = ['/dev/zero', '/dev/full', '/dev/random'].map((path) => ({ path, fd: openSync(path, 'r') }));
  for (const order of [
    [2, 1, 0],
    [1, 2, 0],
    [0, 0, 2],
  ]) {
    const chosen = order.map((index) => files[index]!);
    const out = await captured(async (write) => {
      const stdio = [nowhere, write, nowhere, ...chosen.map(({ fd }) => fd)];
      assert.equal(await spawn(helper(), ['helper', 'inspect'], { stdio }).exited, 0);
    });
    const { fds } = JSON.parse(out) as Inspection;
    assert.deepEqual(
      [3, 4, 5].map((fd) => fds[fd]),
      chosen.map(({ path }) => path),
    );
    assert.equal(Object.keys(fds).length, 6);
  }
  for (const { fd } of files) closeSync(fd);
});

test('descriptors whose numbers are each others’ targets', async () => {
  // Low numbers of our own, rotated: a dup2 in the wrong order would overwrite one still needed.
  const opened = Array.from({ length: 6 }, (_, index) => ({
    path: ['/dev/zero', '/dev/full', '/dev/random'][index % 3]!,
    fd: openSync(['/dev/zero', '/dev/full', '/dev/random'][index % 3]!, 'r'),
  }));
  const size = Math.max(...opened.map(({ fd }) => fd)) + 1;
  const expected: string[] = [];
  const out = await captured(async (write) => {
    const stdio = Array.from({ length: size }, (_, index) => {
      const rotated = opened[(index + 1) % opened.length]!;
      expected[index] = index === 1 ? 'pipe' : rotated.path;
      return index === 1 ? write : rotated.fd;
    });
    assert.equal(await spawn(helper(), ['helper', 'inspect'], { stdio }).exited, 0);
  });
  const { fds } = JSON.parse(out) as Inspection;
  assert.deepEqual(
    Array.from({ length: size }, (_, index) => fds[index]!.replace(/:.*/, '')),
    expected,
  );
});

test('a program that cannot be run is an error at once, of the right kind', (t) => {
  const dir = tempDir(t);
  const plain = join(dir, 'plain');
  writeFileSync(plain, 'not executable');
  const broken = script(dir, 'broken', '');
  writeFileSync(broken, '#!/no/such/interpreter\n');
  for (const [file, code] of [
    [join(dir, 'missing'), 'ENOENT'],
    [plain, 'EACCES'],
    [dir, 'EACCES'],
    [broken, 'ENOENT'],
  ] as const) {
    assert.throws(
      () => spawn(file, [file], { stdio: quiet }),
      (error) => {
        assert.ok(error instanceof SysError);
        assert.deepEqual([error.code, error.syscall], [code, 'spawn']);
        assert.ok(error.message.includes(file), error.message);
        return true;
      },
    );
  }
});

test('a file that is no program is ENOEXEC', (t) => {
  const garbage = join(tempDir(t), 'garbage');
  writeFileSync(garbage, Buffer.from([1, 2, 3, 4]));
  chmodSync(garbage, 0o755);
  assert.throws(() => spawn(garbage, [garbage], { stdio: quiet }), { code: 'ENOEXEC', syscall: 'spawn' });
});

test('a bad descriptor or a bad directory is an error, and leaves no child', (t) => {
  assert.throws(() => spawn('/bin/true', ['true'], { stdio: [999_999] }), { code: 'EBADF' });
  assert.throws(() => spawn('/bin/true', ['true'], { stdio: quiet, cwd: join(tempDir(t), 'missing') }), {
    code: 'ENOENT',
  });
  assert.equal(readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim(), '');
});

test('the working directory', async (t) => {
  const dir = join(tempDir(t), 'with a space');
  mkdirSync(dir);
  assert.equal((await inspect({ cwd: dir })).cwd, dir);
  assert.equal((await inspect()).cwd, process.cwd());
});

test('the environment is what is given, without what is undefined', async () => {
  const env = async (options: Partial<SpawnOptions>): Promise<string[]> =>
    (
      await captured(async (write) => {
        assert.equal(await spawn('/usr/bin/env', ['env'], { stdio: [nowhere, write, nowhere], ...options }).exited, 0);
      })
    )
      .split('\n')
      .filter(Boolean)
      .sort();
  assert.deepEqual(await env({ env: { A: '1', B: undefined, C: 'x=y z', D: 'ümlaut' } }), [
    'A=1',
    'C=x=y z',
    'D=ümlaut',
  ]);
  assert.deepEqual(await env({ env: {} }), []);
  process.env.HAWSER_TEST_INHERITED = 'yes';
  assert.ok((await env({})).includes('HAWSER_TEST_INHERITED=yes'));
  delete process.env.HAWSER_TEST_INHERITED;
});

test('arguments arrive whole, empty ones too', async () => {
  const args = ['', 'a b', '"', '\n', 'ü'];
  const out = await captured(
    (write) => spawn('/usr/bin/printf', ['printf', '%s|', ...args], { stdio: [nowhere, write, nowhere] }).exited,
  );
  assert.equal(out, args.map((arg) => `${arg}|`).join(''));
});

test('the child dies with its parent unless it is told not to', async () => {
  assert.equal((await inspect()).pdeathsig, 9);
  assert.equal((await inspect({ dieWithParent: false })).pdeathsig, 0);
});

test('a process group of its own, or ours', async () => {
  const own = await inspect({ ownGroup: true });
  assert.equal(own.pgid, own.pid);
  const ours = await inspect();
  assert.notEqual(ours.pgid, ours.pid);
  assert.equal(ours.ppid, process.pid);
});

test('no signal is blocked or ignored in the child, whatever Node does', async () => {
  const mine = /^SigIgn:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]!;
  assert.notEqual(BigInt(`0x${mine}`), 0n, 'Node ignores SIGPIPE, or this test proves nothing');
  const { blocked, ignored } = await inspect();
  assert.deepEqual({ blocked, ignored }, { blocked: '0', ignored: '0' });
});

test('this process has its signals unblocked again afterwards', async () => {
  const before = /^SigBlk:.*$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))![0];
  assert.throws(() => spawn('/no/such/file', [], { stdio: quiet }));
  await sh('true');
  assert.equal(/^SigBlk:.*$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))![0], before);
});

test('the exit is told when the process ends, whoever still holds its descriptors', async (t) => {
  const gate = join(tempDir(t), 'gate');
  writeFileSync(gate, '');
  const { read, write } = makePipe();
  assert.equal(await spawn(helper(), ['helper', 'linger', gate], { stdio: [nowhere, write, write] }).exited, 0);
  closeSync(write);
  closeSync(read);
});

test('searchPath finds what a shell would', (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'one', 'tool'), { recursive: true });
  mkdirSync(join(dir, 'two'));
  mkdirSync(join(dir, 'three'));
  writeFileSync(join(dir, 'two', 'tool'), 'not executable', { mode: 0o644 });
  const wanted = script(join(dir, 'three'), 'tool', 'exit 0');
  const path = ['one', 'missing', 'two', 'three'].map((name) => join(dir, name)).join(':');
  assert.equal(searchPath('tool', path), wanted);
  assert.equal(searchPath('tool', join(dir, 'two')), undefined);
  assert.equal(searchPath('./anything/at all', path), './anything/at all');
  assert.equal(searchPath('tool\0x', path), undefined);
  assert.equal(searchPath('tool', `${join(dir, 'missing')}/../three`), wanted, 'as it is told, not as links have it');
  assert.equal(searchPath('sh'), searchPath('sh', process.env.PATH));
});

test('an empty part of PATH is the current directory', (t) => {
  const dir = tempDir(t);
  script(dir, 'here', '');
  const before = process.cwd();
  process.chdir(dir);
  t.after(() => process.chdir(before));
  assert.equal(searchPath('here', '/no/such:'), 'here');
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    await sh('exit 3');
    assert.throws(() => spawn('/no/such/file', [], { stdio: quiet }));
    assert.throws(() => spawn('/bin/true', [], { stdio: [nowhere, 999_999, nowhere] }));
  }));

test('children get the limit of open files that they shall have, not the one that Node raised for itself', async (t) => {
  limitChildrenNofile(777);
  t.after(() => limitChildrenNofile(0));
  const limits = await captured(async (write) => {
    assert.equal(
      await spawn('/bin/sh', ['sh', '-c', 'ulimit -Sn; ulimit -Hn'], { stdio: [nowhere, write, nowhere] }).exited,
      0,
    );
  });
  const [soft, hard] = limits.trim().split('\n');
  assert.equal(soft, '777');
  assert.equal(hard, /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))![1]);
});

test('a process becomes another program, with its pid, standard descriptors and default signals, or is told why not', async () => {
  const code = `
    import { exec } from './src/sys/index.js';
    try {
      exec('/no/such/file', [], []);
    } catch (error) {
      console.log(error.code, error.syscall, process.pid);
    }
    exec('/bin/sh', ['named', '-c', 'echo $$ "$0" "$A"; grep SigIgn /proc/self/status'], ['A=b c']);
  `;
  const { stdout } = await execa(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code]);
  const [failed, became, ignored] = stdout.split('\n');
  const [, pid] = /^ENOENT execve (\d+)$/.exec(failed!)!;
  assert.equal(became, `${pid} named b c`);
  // Signals 32 and 33, the C library's own, are as whoever runs the tests has them.
  const others = BigInt(`0x${ignored!.slice('SigIgn:\t'.length)}`) & ~0x1_8000_0000n;
  assert.equal(others, 0n);
});
