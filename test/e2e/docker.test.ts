/** A real dockerd on a real containerd, which launches the built shim; docker is the client. Needs root. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Containerd, Dockerd, onHawserd, shimDir, until } from '../support/daemons.js';
import { isCrun } from '../support/runtime.js';
import { Terminal } from '../support/terminal.js';

const IMAGE = 'busybox:test';
let containerd: Containerd;
let dockerd: Dockerd;

before(async () => {
  containerd = await new Containerd(shimDir).start();
  dockerd = await new Dockerd(containerd).start();
  await dockerd.importImage(containerd.rootfs, IMAGE);
});

after(async () => {
  await dockerd.cleanUp();
  await containerd.cleanUp();
});

/** `docker run` with the test image. */
function run(flags: string[], command: string[], options: { input?: string } = {}): ReturnType<Dockerd['docker']> {
  return dockerd.docker(['run', ...flags, IMAGE, ...command], { reject: false, ...options });
}

/** A container in the background that does what the command says until it is removed. */
async function withContainer(
  name: string,
  work: () => Promise<void>,
  flags: string[] = [],
  command = ['sleep', '1000'],
): Promise<void> {
  await dockerd.docker(['run', '-d', '--name', name, ...flags, IMAGE, ...command]);
  try {
    await work();
  } finally {
    await dockerd.docker(['rm', '-f', name]);
  }
}

async function inspect(name: string, format: string): Promise<string> {
  return (await dockerd.docker(['inspect', '-f', format, name])).stdout;
}

test('run --rm: output, each stream apart, and the exit code', async () => {
  const result = await run(['--rm'], ['sh', '-c', 'echo out; echo err >&2; exit 9']);
  assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['out', 'err', 9]);
});

test('exit codes: 125 for a refused option, 126 for what cannot be executed, 127 for what is missing, 137 for SIGKILL', async () => {
  assert.equal((await run(['--rm', '--no-such-flag'], ['true'])).exitCode, 125);
  // dockerd doesn't know crun's words for the next two, whichever shim passes them on.
  assert.equal((await run(['--rm'], ['/etc/passwd'])).exitCode, isCrun ? 125 : 126);
  assert.equal((await run(['--rm'], ['no-such-command'])).exitCode, isCrun ? 125 : 127);
  // In a pid namespace of its own it would be process 1, which can't kill itself.
  assert.equal((await run(['--rm', '--pid=host'], ['sh', '-c', 'kill -9 $$'])).exitCode, 137);
});

test('run -i: standard input, a large one too, and its end', async () => {
  const input = Array.from({ length: 30_000 }, (_, i) => `${i} ${'y'.repeat(60)}`).join('\n');
  assert.equal((await run(['--rm', '-i'], ['cat'], { input })).stdout, input);
});

test('run -it: an interactive shell, resize, detach and attach', async () => {
  const terminal = new Terminal(...dockerd.command(['run', '-it', '--name', 'shell', IMAGE, 'sh']), {
    cols: 101,
    rows: 31,
  });
  try {
    await terminal.shows(/# /);
    await terminal.showsSize(101, 31);
    await until('the new size', async () => {
      // The client misses a change that comes before it listens for them.
      terminal.resize(119, 40);
      terminal.resize(120, 40);
      terminal.type('stty size\r');
      await terminal.shows(/\n\d+ \d+\r/);
      return terminal.screen.includes('\n40 120\r');
    });
    terminal.type('\x10\x11'); // ctrl-p ctrl-q: detach
    await terminal.ends();
    assert.equal(await inspect('shell', '{{.State.Running}}'), 'true');

    const again = new Terminal(...dockerd.command(['attach', 'shell']));
    again.type('echo back again\r');
    await again.shows(/\nback again\r/);
    again.type('exit 4\r');
    assert.equal(await again.ends(), 4);
  } finally {
    terminal.kill();
    await dockerd.docker(['rm', '-f', 'shell']);
  }
});

test('run -d, logs, logs -f, top, wait', async () => {
  await withContainer(
    'worker',
    async () => {
      await until('the first line', async () => (await dockerd.docker(['logs', 'worker'])).stdout === 'started');
      assert.match((await dockerd.docker(['top', 'worker'])).stdout, /sleep 1000/);
      const follow = dockerd.docker(['logs', '-f', 'worker']);
      const wait = dockerd.docker(['wait', 'worker']);
      await dockerd.docker(['exec', 'worker', 'sh', '-c', 'echo more > /proc/1/fd/1']);
      await dockerd.docker(['kill', 'worker']);
      assert.equal((await wait).stdout, '137');
      assert.equal((await follow).stdout, 'started\nmore');
    },
    [],
    ['sh', '-c', 'echo started; exec sleep 1000'],
  );
});

test('exec: output, input, exit code, user, terminal, and a command that is missing', async () => {
  await withContainer('target', async () => {
    const result = await dockerd.docker(['exec', 'target', 'sh', '-c', 'echo from exec; exit 6'], { reject: false });
    assert.deepEqual([result.stdout, result.exitCode], ['from exec', 6]);
    assert.equal((await dockerd.docker(['exec', '-i', 'target', 'cat'], { input: 'to exec' })).stdout, 'to exec');
    assert.equal((await dockerd.docker(['exec', '-u', '65534', 'target', 'id', '-u'])).stdout, '65534');
    const missing = await dockerd.docker(['exec', 'target', 'no-such-command'], { reject: false });
    assert.ok([126, 127].includes(missing.exitCode!), `exit code ${missing.exitCode}`);
    assert.match(missing.stdout + missing.stderr, /executable file.* not found/);

    const terminal = new Terminal(...dockerd.command(['exec', '-it', 'target', 'sh']));
    await terminal.shows(/# /);
    terminal.type('tty\r');
    await terminal.shows(/\/dev\/pts\/\d/);
    terminal.type('exit 8\r');
    assert.equal(await terminal.ends(), 8);
  });
});

test('stop, start, restart, kill', async () => {
  await withContainer(
    'cycle',
    async () => {
      await dockerd.docker(['stop', '-t', '10', 'cycle']);
      assert.equal(await inspect('cycle', '{{.State.ExitCode}}'), '5', 'it ended by its own handler of SIGTERM');
      await dockerd.docker(['start', 'cycle']);
      const first = await inspect('cycle', '{{.State.Pid}}');
      await dockerd.docker(['restart', '-t', '10', 'cycle']);
      assert.notEqual(await inspect('cycle', '{{.State.Pid}}'), first);
      assert.equal(await inspect('cycle', '{{.State.Running}}'), 'true');
      await dockerd.docker(['kill', '-s', 'KILL', 'cycle']);
      await until('it to end', async () => (await inspect('cycle', '{{.State.Running}}')) === 'false');
      assert.equal(await inspect('cycle', '{{.State.ExitCode}}'), '137');
    },
    [],
    ['sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.1; done'],
  );
});

test('pause, unpause, update, stats', async () => {
  await withContainer('tuned', async () => {
    await dockerd.docker(['pause', 'tuned']);
    assert.equal(await inspect('tuned', '{{.State.Status}}'), 'paused');
    await dockerd.docker(['unpause', 'tuned']);
    assert.equal(await inspect('tuned', '{{.State.Status}}'), 'running');
    await dockerd.docker(['update', '-m', '64m', '--memory-swap', '64m', 'tuned']);
    const id = await inspect('tuned', '{{.Id}}');
    const pid = await inspect('tuned', '{{.State.Pid}}');
    assert.equal(memoryLimit(pid), String(64 * 1024 * 1024), id);
    const { stdout } = await dockerd.docker(['stats', '--no-stream', '--format', '{{.MemUsage}}|{{.PIDs}}', 'tuned']);
    assert.match(stdout, /\/ 64MiB\|1$/);
  });
});

test('events: each step of a container and of an exec in it, once and in order', async () => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  await withContainer('watched', async () => {
    await dockerd.docker(['exec', 'watched', 'true']);
    await dockerd.docker(['pause', 'watched']);
    await dockerd.docker(['unpause', 'watched']);
    await dockerd.docker(['kill', 'watched']);
    await dockerd.docker(['wait', 'watched']);
  });
  const { stdout } = await dockerd.docker([
    'events',
    '--since',
    since,
    '--until',
    String(Math.floor(Date.now() / 1000) + 1),
    '--filter',
    'container=watched',
    '--format',
    '{{.Action}}',
  ]);
  const steps = stdout.split('\n').map((action) => action.split(':')[0]);
  assert.deepEqual(steps, [
    'create',
    'start',
    'exec_create',
    'exec_start',
    'exec_die',
    'pause',
    'unpause',
    'kill',
    'die',
    'destroy',
  ]);
});

test('a container that needs more memory than it may have is reported as killed for that', async () => {
  const name = 'hungry';
  await run(
    ['--name', name, '-m', '20m', '--memory-swap', '20m'],
    ['sh', '-c', 'x=0123456789abcdef; while :; do x=$x$x; done'],
  );
  assert.equal(await inspect(name, '{{.State.OOMKilled}} {{.State.ExitCode}}'), 'true 137');
  await dockerd.docker(['rm', name]);
});

test('--init, --user, --pid=host, --read-only', async () => {
  assert.equal(
    (await run(['--rm', '--init'], ['sh', '-c', 'echo $$'])).stdout === '1',
    false,
    'with --init the command is not process 1',
  );
  const user = await run(
    ['--rm', '--user', '65534:65534'],
    ['sh', '-c', 'id -u; echo ok > /dev/stdout; echo ok > /dev/stderr'],
  );
  assert.deepEqual([user.stdout, user.stderr, user.exitCode], ['65534\nok', 'ok', 0]);
  const host = await run(['--rm', '--pid=host'], ['sh', '-c', 'kill -0 $PPID; echo $$']);
  assert.ok(Number(host.stdout) > 1, 'it sees its pid on the host');
  const readOnly = await run(['--rm', '--read-only'], ['touch', '/x']);
  assert.equal(readOnly.exitCode, 1);
  assert.match(readOnly.stderr, /Read-only file system/);
});

test('with --pid=host, what a container leaves behind ends with it', async () => {
  const { stdout } = await run(['--rm', '--pid=host'], ['sh', '-c', 'sleep 4321 & echo $!']);
  const pid = Number(stdout);
  await until('the left process to end', () => !isRunning(pid));
});

test('dockerd is killed and comes back with --live-restore: the container runs on and its logs have no gap', async () => {
  await dockerd.stop();
  await dockerd.start(['--live-restore']);
  await withContainer(
    'lives',
    async () => {
      const pid = await inspect('lives', '{{.State.Pid}}');
      await dockerd.stop('SIGKILL');
      await dockerd.start(['--live-restore']);
      assert.equal(await inspect('lives', '{{.State.Pid}}'), pid);
      await until(
        'it to have counted far',
        async () => (await dockerd.docker(['logs', '--tail', '1', 'lives'])).stdout === '200',
      );
      const { stdout } = await dockerd.docker(['logs', 'lives']);
      assert.deepEqual(
        stdout.split('\n'),
        Array.from({ length: 200 }, (_, i) => String(i + 1)),
      );
      assert.equal((await dockerd.docker(['exec', 'lives', 'echo', 'alive'])).stdout, 'alive');
    },
    [],
    ['sh', '-c', 'for i in $(seq 200); do echo $i; sleep 0.02; done; exec sleep 1000'],
  );
});

test(`${onHawserd ? 'hawserd' : 'containerd'} is killed and comes back under dockerd: the container runs on, and nothing of it is lost`, async () => {
  await withContainer(
    'floats',
    async () => {
      const pid = await inspect('floats', '{{.State.Pid}}');
      await containerd.stop('SIGKILL');
      await containerd.start();
      assert.equal(await inspect('floats', '{{.State.Pid}} {{.State.Running}}'), `${pid} true`);
      assert.ok(isRunning(Number(pid)));
      // dockerd finds its way back by itself, and now and then waits before it tries.
      await until(
        'exec to work',
        async () => (await dockerd.docker(['exec', 'floats', 'echo', 'alive'], { reject: false })).stdout === 'alive',
      );
      const exec = await dockerd.docker(['exec', 'floats', 'sh', '-c', 'echo from exec; exit 6'], { reject: false });
      assert.deepEqual([exec.stdout, exec.exitCode], ['from exec', 6]);
      await until(
        'it to have counted far',
        async () => (await dockerd.docker(['logs', '--tail', '1', 'floats'])).stdout === '200',
      );
      const { stdout } = await dockerd.docker(['logs', 'floats']);
      assert.deepEqual(
        stdout.split('\n'),
        Array.from({ length: 200 }, (_, i) => String(i + 1)),
      );
      const waiting = dockerd.docker(['wait', 'floats']);
      await dockerd.docker(['stop', '-t', '10', 'floats']);
      assert.equal((await waiting).stdout, '5');
      assert.equal(
        await inspect('floats', '{{.State.ExitCode}} {{.State.Running}}'),
        '5 false',
        'it ended by its own handler of SIGTERM',
      );
      await dockerd.docker(['start', 'floats']);
      assert.equal((await dockerd.docker(['exec', 'floats', 'echo', 'again'])).stdout, 'again');
    },
    [],
    ['sh', '-c', 'trap "exit 5" TERM; for i in $(seq 200); do echo $i; sleep 0.02; done; while :; do sleep 0.1; done'],
  );
});

test('a container that ends while the daemon under dockerd is away: dockerd learns of it, with its exit status', async () => {
  await withContainer(
    'sinks',
    async () => {
      const pid = Number(await inspect('sinks', '{{.State.Pid}}'));
      const waiting = dockerd.docker(['wait', 'sinks']);
      await containerd.stop('SIGKILL');
      process.kill(pid, 'SIGTERM');
      await until('it to end', () => !isRunning(pid));
      await containerd.start();
      assert.equal((await waiting).stdout, '5');
      assert.equal(await inspect('sinks', '{{.State.ExitCode}} {{.State.Running}}'), '5 false');
      await dockerd.docker(['start', 'sinks']);
      assert.equal((await dockerd.docker(['exec', 'sinks', 'echo', 'again'])).stdout, 'again');
    },
    [],
    ['sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.1; done'],
  );
});

test('nothing is left of all that', async () => {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
});

function memoryLimit(pid: string): string {
  const entries = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const v1 = entries.find(([, controllers]) => controllers === 'memory');
  if (v1) return readFileSync(`/sys/fs/cgroup/memory${v1[2]}/memory.limit_in_bytes`, 'utf8').trim();
  return readFileSync(`/sys/fs/cgroup${entries.find(([number]) => number === '0')?.[2]}/memory.max`, 'utf8').trim();
}

function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH')
      return false;
    throw error;
  }
}
