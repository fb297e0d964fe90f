import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Runtime, RuntimeError, type RuntimeOptions } from '../../src/runc/index.js';
import { leavesNothingOpen, script, tempDir } from './fixtures/support.js';

interface Fixture {
  dir: string;
  binary: string;
  /** The arguments of each call. */
  calls: () => string[][];
  stdin: () => string;
}

/** A runtime that writes down what it is called with and a pid file where it is asked for one, then does `body`. */
function fixture(t: TestContext, body = ''): Fixture {
  const dir = tempDir(t);
  const binary = script(
    dir,
    'runc',
    `
for arg; do printf '%s\\0' "$arg" >>${dir}/calls; done
printf '\\n' >>${dir}/calls
cat >${dir}/stdin
previous=
for arg; do
  [ "$previous" = --pid-file ] && printf 4711 >"$arg"
  [ "$previous" = --process ] && cp -p "$arg" ${dir}/process
  previous=$arg
done
${body}`,
  );
  return {
    dir,
    binary,
    calls: () =>
      readFileSync(join(dir, 'calls'), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split('\0').slice(0, -1)),
    stdin: () => readFileSync(join(dir, 'stdin'), 'utf8'),
  };
}

const GLOBALS = ['--root', '/run/r/ns', '--log', '/b/log.json', '--log-format', 'json'];
const globals = (binary: string): RuntimeOptions => ({ binary, root: '/run/r/ns', log: '/b/log.json' });

/** Asserts that one call makes one command line (contract §6.2). */
async function argv(
  t: TestContext,
  call: (runtime: Runtime, dir: string) => Promise<unknown>,
  expected: (dir: string) => string[],
  body = '',
): Promise<Fixture> {
  const fixed = fixture(t, body);
  await call(new Runtime(globals(fixed.binary)), fixed.dir);
  assert.deepEqual(fixed.calls(), [[...GLOBALS, ...expected(fixed.dir)]]);
  return fixed;
}

test('create, at its shortest and its longest', async (t) => {
  await argv(
    t,
    async (runtime, dir) => {
      assert.equal(await runtime.create('abc', { bundle: '/b', pidFile: join(dir, 'init.pid') }), 4711);
    },
    (dir) => ['create', '--bundle', '/b', '--pid-file', join(dir, 'init.pid'), 'abc'],
  );
  await argv(
    t,
    (runtime, dir) =>
      runtime.create('abc', {
        bundle: '/b',
        pidFile: join(dir, 'init.pid'),
        consoleSocket: '/tmp/s',
        noPivotRoot: true,
        noNewKeyring: true,
      }),
    (dir) => [
      'create',
      '--bundle',
      '/b',
      '--pid-file',
      join(dir, 'init.pid'),
      '--console-socket',
      '/tmp/s',
      '--no-pivot',
      '--no-new-keyring',
      'abc',
    ],
  );
});

test('start, pause, resume', async (t) => {
  await argv(
    t,
    (runtime) => runtime.start('abc'),
    () => ['start', 'abc'],
  );
  await argv(
    t,
    (runtime) => runtime.pause('abc'),
    () => ['pause', 'abc'],
  );
  await argv(
    t,
    (runtime) => runtime.resume('abc'),
    () => ['resume', 'abc'],
  );
});

test('kill', async (t) => {
  await argv(
    t,
    (runtime) => runtime.kill('abc', 15),
    () => ['kill', 'abc', '15'],
  );
  await argv(
    t,
    (runtime) => runtime.kill('abc', 9, { all: true }),
    () => ['kill', '--all', 'abc', '9'],
  );
  await argv(
    t,
    (runtime) => runtime.kill('abc', 37, { all: false }),
    () => ['kill', 'abc', '37'],
  );
});

test('delete', async (t) => {
  await argv(
    t,
    (runtime) => runtime.delete('abc'),
    () => ['delete', 'abc'],
  );
  await argv(
    t,
    (runtime) => runtime.delete('abc', { force: true }),
    () => ['delete', '--force', 'abc'],
  );
});

test('exec: the process is in a file of mode 0600 while the runtime runs, and nowhere afterwards', async (t) => {
  const process = { terminal: false, args: ['sh', '-c', 'ü'], user: { uid: 0 } };
  const { dir } = await argv(
    t,
    async (runtime, dir) => {
      assert.equal(
        await runtime.exec('abc', process, { pidFile: join(dir, 'e.pid'), processFile: join(dir, 'p.json') }),
        4711,
      );
    },
    (dir) => ['exec', '--process', join(dir, 'p.json'), '--detach', '--pid-file', join(dir, 'e.pid'), 'abc'],
  );
  assert.deepEqual(JSON.parse(readFileSync(join(dir, 'process'), 'utf8')), process);
  assert.equal(statSync(join(dir, 'process')).mode & 0o777, 0o600);
  assert.equal(existsSync(join(dir, 'p.json')), false);
  await argv(
    t,
    (runtime, dir) =>
      runtime.exec('abc', process, {
        pidFile: join(dir, 'e.pid'),
        processFile: join(dir, 'p.json'),
        consoleSocket: '/tmp/s',
      }),
    (dir) => [
      'exec',
      '--process',
      join(dir, 'p.json'),
      '--console-socket',
      '/tmp/s',
      '--detach',
      '--pid-file',
      join(dir, 'e.pid'),
      'abc',
    ],
  );
});

test('a failed exec leaves no file either', async (t) => {
  const { binary, dir } = fixture(t, 'exit 1');
  await assert.rejects(
    new Runtime({ binary }).exec('abc', {}, { pidFile: join(dir, 'e.pid'), processFile: join(dir, 'p.json') }),
    RuntimeError,
  );
  assert.equal(existsSync(join(dir, 'p.json')), false);
});

test('update hands the resources on byte for byte', async (t) => {
  const resources = Buffer.from('{"memory":{"limit":9223372036854775807}}');
  const { stdin } = await argv(
    t,
    (runtime) => runtime.update('abc', resources),
    () => ['update', '--resources=-', 'abc'],
  );
  assert.equal(stdin(), resources.toString());
});

test('checkpoint, at its shortest and its longest', async (t) => {
  await argv(
    t,
    (runtime) => runtime.checkpoint('abc', { imagePath: '/i', workPath: '/w' }),
    () => ['checkpoint', '--image-path', '/i', '--work-path', '/w', 'abc'],
  );
  await argv(
    t,
    (runtime) =>
      runtime.checkpoint('abc', {
        imagePath: '/i',
        workPath: '/w',
        parentPath: '/p',
        allowOpenTcp: true,
        allowExternalUnixSockets: true,
        allowTerminal: true,
        fileLocks: true,
        emptyNamespaces: ['network', 'pid'],
        leaveRunning: true,
      }),
    () => [
      'checkpoint',
      '--image-path',
      '/i',
      '--work-path',
      '/w',
      '--parent-path',
      '/p',
      '--tcp-established',
      '--ext-unix-sk',
      '--shell-job',
      '--file-locks',
      '--empty-ns',
      'network',
      '--empty-ns',
      'pid',
      '--leave-running',
      'abc',
    ],
  );
});

test('restore, at its shortest and its longest', async (t) => {
  await argv(
    t,
    async (runtime, dir) => {
      assert.equal(
        await runtime.restore('abc', { bundle: '/b', pidFile: join(dir, 'init.pid'), imagePath: '/i', workPath: '/w' }),
        4711,
      );
    },
    (dir) => [
      'restore',
      '--image-path',
      '/i',
      '--work-path',
      '/w',
      '--detach',
      '--pid-file',
      join(dir, 'init.pid'),
      '-no-subreaper',
      '--bundle',
      '/b',
      'abc',
    ],
  );
  await argv(
    t,
    (runtime, dir) =>
      runtime.restore('abc', {
        bundle: '/b',
        pidFile: join(dir, 'init.pid'),
        imagePath: '/i',
        workPath: '/w',
        parentPath: '/p',
        consoleSocket: '/tmp/s',
        noPivotRoot: true,
      }),
    (dir) => [
      'restore',
      '--image-path',
      '/i',
      '--work-path',
      '/w',
      '--parent-path',
      '/p',
      '--detach',
      '--pid-file',
      join(dir, 'init.pid'),
      '--console-socket',
      '/tmp/s',
      '--no-pivot',
      '-no-subreaper',
      '--bundle',
      '/b',
      'abc',
    ],
  );
});

test('ps', async (t) => {
  await argv(
    t,
    async (runtime) => {
      assert.deepEqual(await runtime.ps('abc'), [1, 22, 4194304]);
    },
    () => ['ps', '--format', 'json', 'abc'],
    'echo "[1,22,4194304]"',
  );
  await argv(
    t,
    async (runtime) => {
      assert.deepEqual(await runtime.ps('abc'), []);
    },
    () => ['ps', '--format', 'json', 'abc'],
    'echo null',
  );
  await argv(
    t,
    async (runtime) => {
      assert.deepEqual(await runtime.ps('abc'), []);
    },
    () => ['ps', '--format', 'json', 'abc'],
    'echo "[]"',
  );
});

test('ps that prints something else is an error', async (t) => {
  for (const printed of ['{"a":1}', '["1"]', 'garbage', '']) {
    const { binary } = fixture(t, `echo '${printed}'`);
    await assert.rejects(new Runtime({ binary }).ps('abc'), `printed ${printed}`);
  }
});

test('features go without globals, and are passed on as text', async (t) => {
  const { binary, calls } = fixture(t, 'echo \'{"ociVersionMin":"1.0.0"}\'');
  assert.equal(await new Runtime(globals(binary)).features(), '{"ociVersionMin":"1.0.0"}\n');
  assert.deepEqual(calls(), [['features']]);
  const failing = fixture(t, 'echo "unknown command"; exit 1');
  await assert.rejects(new Runtime({ binary: failing.binary }).features(), {
    name: 'RuntimeError',
    status: 1,
    message: `${failing.binary} did not terminate successfully: exit status 1: unknown command`,
  });
});

test('globals: only those that are set, criu before systemd’s cgroups', async (t) => {
  for (const [options, expected] of [
    [{}, []],
    [{ root: '/r' }, ['--root', '/r']],
    [{ log: '/l' }, ['--log', '/l', '--log-format', 'json']],
    [{ systemdCgroup: true }, ['--systemd-cgroup']],
    [{ systemdCgroup: false, criu: '' }, []],
    [
      { root: '/r', log: '/l', criu: '/usr/sbin/criu', systemdCgroup: true },
      ['--root', '/r', '--log', '/l', '--log-format', 'json', '--criu', '/usr/sbin/criu', '--systemd-cgroup'],
    ],
  ] satisfies [RuntimeOptions, string[]][]) {
    const { binary, calls } = fixture(t);
    await new Runtime({ ...options, binary }).start('abc');
    assert.deepEqual(calls(), [[...expected, 'start', 'abc']]);
  }
});

test('the binary is runc unless another is named', () => {
  assert.equal(new Runtime().binary, 'runc');
  assert.equal(new Runtime({ binary: '' }).binary, 'runc');
  assert.equal(new Runtime({ binary: 'crun' }).binary, 'crun');
});

test('a failure has the status, what was printed, and what was logged by this command alone', async (t) => {
  const dir = tempDir(t);
  const log = join(dir, 'log.json');
  writeFileSync(log, '{"level":"error","msg":"of an earlier command"}\n');
  const binary = script(dir, 'runc', `echo " printed "; echo '{"level":"error","msg":"logged"}' >>${log}; exit 5`);
  await assert.rejects(new Runtime({ binary, log }).start('abc'), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.deepEqual(
      { message: error.message, status: error.status, output: error.output, logged: error.logged },
      {
        message: `${binary} did not terminate successfully: exit status 5: printed`,
        status: 5,
        output: ' printed \n',
        logged: 'logged',
      },
    );
    return true;
  });
});

test('a failure without a word, by a signal', async (t) => {
  const dir = tempDir(t);
  const log = join(dir, 'log.json');
  writeFileSync(log, '{"level":"error","msg":"of an earlier command"}\n');
  const binary = script(dir, 'runc', 'kill -KILL $$');
  await assert.rejects(new Runtime({ binary, log }).start('abc'), {
    message: `${binary} did not terminate successfully: exit status 137`,
    status: 137,
    logged: undefined,
  });
});

test('what is logged without a failure is no error', async (t) => {
  const dir = tempDir(t);
  const log = join(dir, 'log.json');
  await new Runtime({ binary: script(dir, 'runc', `echo '{"level":"error","msg":"harmless"}' >>${log}`), log }).start(
    'abc',
  );
});

test('a runtime that cannot be run: its status is unknown, its text is that of Go', async () => {
  await assert.rejects(new Runtime({ binary: 'no-such-runtime' }).start('abc'), (error) => {
    assert.ok(error instanceof RuntimeError);
    assert.deepEqual(
      [error.message, error.status],
      ['exec: "no-such-runtime": executable file not found in $PATH', undefined],
    );
    return true;
  });
  await assert.rejects(new Runtime({ binary: '/no/such/runc' }).start('abc'), {
    name: 'RuntimeError',
    message: 'fork/exec /no/such/runc: no such file or directory',
  });
});

test('a runtime that succeeds without a pid, or with garbage for one, is an error', async (t) => {
  const dir = tempDir(t);
  const pidFile = join(dir, 'init.pid');
  const silent = script(dir, 'silent', 'exit 0');
  await assert.rejects(new Runtime({ binary: silent }).create('abc', { bundle: '/b', pidFile }), {
    name: 'RuntimeError',
    message: `${silent} create succeeded, but wrote no pid into ${pidFile}`,
  });
  writeFileSync(pidFile, '12');
  await assert.rejects(
    new Runtime({ binary: silent }).create('abc', { bundle: '/b', pidFile }),
    /wrote no pid/,
    'the pid of an earlier command is none',
  );
  const zero = script(dir, 'zero', `printf 0 >${pidFile}`);
  await assert.rejects(new Runtime({ binary: zero }).create('abc', { bundle: '/b', pidFile }), /holds no pid but "0"/);
  const garbage = script(dir, 'garbage', `printf x12 >${pidFile}`);
  await assert.rejects(new Runtime({ binary: garbage }).create('abc', { bundle: '/b', pidFile }), /holds no pid/);
});

test('the process’s descriptors are given to the runtime, and told when they may go', async (t) => {
  const { binary, dir, stdin } = fixture(t, 'echo printed');
  const input = join(dir, 'input');
  const output = join(dir, 'output');
  writeFileSync(input, 'from the client');
  const stdio = [openSync(input, 'r'), openSync(output, 'w'), openSync('/dev/null', 'w')];
  let told = 0;
  await new Runtime({ binary }).create('abc', {
    bundle: '/b',
    pidFile: join(dir, 'init.pid'),
    stdio,
    onSpawn: () => {
      told++;
      for (const fd of stdio) closeSync(fd);
    },
  });
  assert.equal(told, 1);
  assert.equal(stdin(), 'from the client');
  assert.equal(readFileSync(output, 'utf8'), 'printed\n');
});

test('nothing stays open', (t) => {
  const { binary, dir } = fixture(t, 'exit 1');
  return leavesNothingOpen(async () => {
    await assert.rejects(
      new Runtime({ binary, log: join(dir, 'log') }).create('abc', { bundle: '/b', pidFile: join(dir, 'p') }),
    );
  });
});
