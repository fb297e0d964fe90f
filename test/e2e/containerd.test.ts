/** A real containerd launches the built shim; ctr is the client. Needs root. */
import assert from 'node:assert/strict';
import { isHawsers } from '../../src/cli/shim/find.js';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { onHawserd, Containerd, makeImage, shimDir, until } from '../support/daemons.js';
import { rounds } from '../support/eventually.js';
import { Terminal } from '../support/terminal.js';

let containerd: Containerd;

before(async () => {
  containerd = await new Containerd(shimDir).start();
});

after(async () => {
  await containerd.cleanUp();
});

/** Runs something with a container that sleeps in the background, and removes it. */
async function withSleeper(id: string, work: () => Promise<void>): Promise<void> {
  await containerd.ctr(['run', '-d', '--rootfs', containerd.rootfs, id, '/bin/sleep', '1000']);
  try {
    await work();
  } finally {
    await containerd.ctr(['tasks', 'rm', '-f', id], { reject: false });
    await containerd.ctr(['containers', 'rm', id], { reject: false });
  }
}

/** False for a zombie too: who collects it depends on what runs as process 1. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

async function status(id: string): Promise<string | undefined> {
  const { stdout } = await containerd.ctr(['tasks', 'ls']);
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([name]) => name === id)?.[2];
}

test('run --rm prints what the container prints, each stream apart, and ends with its exit code', async () => {
  const result = await containerd.run('streams', ['/bin/sh', '-c', 'echo out; echo err >&2; exit 42'], {
    reject: false,
  });
  assert.equal(result.stdout, 'out');
  assert.match(result.stderr, /^err$/m);
  assert.equal(result.exitCode, 42);
});

test('standard input reaches the container, and so does its end, every time', async () => {
  for (let i = 0; i < 20; i++) {
    const { stdout } = await containerd.run(`stdin${i}`, ['/bin/cat'], { input: `line ${i}\n` });
    assert.equal(stdout, `line ${i}`);
  }
});

test('a megabyte goes in and comes out unchanged', async () => {
  const input = Array.from({ length: 20_000 }, (_, i) => `${i} ${'x'.repeat(45)}`).join('\n');
  const { stdout } = await containerd.run('megabyte', ['/bin/cat'], { input });
  assert.equal(stdout, input);
});

test('run -t gives an interactive shell that follows the size of its terminal', async () => {
  const terminal = new Terminal(
    ...containerd.command(['run', '--rm', '-t', '--rootfs', containerd.rootfs, 'shell', '/bin/sh']),
    { cols: 91, rows: 33 },
  );
  try {
    await terminal.shows(/# /);
    await terminal.showsSize(91, 33);
    await until('the new size', async () => {
      // The client misses a change that comes before it listens for them.
      terminal.resize(119, 40);
      terminal.resize(120, 40);
      terminal.type('stty size\r');
      await terminal.shows(/\n\d+ \d+\r/);
      return terminal.screen.includes('\n40 120\r');
    });
    terminal.type('echo typed | cat; exit 7\r');
    await terminal.shows(/\ntyped\r/);
    assert.equal(await terminal.ends(), 7);
  } finally {
    terminal.kill();
  }
});

test('tasks: ls, ps, exec, exec -t, pause, resume, metrics, kill, rm', async () => {
  await withSleeper('sleeper', async () => {
    assert.equal(await status('sleeper'), 'RUNNING');
    const shim = (await containerd.shimPids()).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0sleeper\0'),
    );
    assert.ok(isHawsers(shim!), 'the shim in ps is ours');

    const exec = await containerd.ctr(
      ['tasks', 'exec', '--exec-id', 'e1', 'sleeper', '/bin/sh', '-c', 'echo in exec; exit 3'],
      { reject: false },
    );
    assert.equal(exec.stdout, 'in exec');
    assert.equal(exec.exitCode, 3);

    // CloseIO races with the start of the exec; it must never be lost.
    for (let i = 0; i < rounds(30); i++) {
      assert.equal(
        (await containerd.ctr(['tasks', 'exec', '--exec-id', `in${i}`, 'sleeper', '/bin/cat'], { input: `${i}` }))
          .stdout,
        `${i}`,
      );
    }

    const terminal = new Terminal(
      ...containerd.command(['tasks', 'exec', '-t', '--exec-id', 'e3', 'sleeper', '/bin/sh']),
      { cols: 77, rows: 22 },
    );
    await terminal.shows(/# /);
    await terminal.showsSize(77, 22);
    const { stdout: ps } = await containerd.ctr(['tasks', 'ps', 'sleeper']);
    assert.match(ps, /e3/, 'ps names the exec');
    terminal.type('exit 5\r');
    assert.equal(await terminal.ends(), 5);

    await containerd.ctr(['tasks', 'pause', 'sleeper']);
    assert.equal(await status('sleeper'), 'PAUSED');
    await containerd.ctr(['tasks', 'resume', 'sleeper']);
    assert.equal(await status('sleeper'), 'RUNNING');
    assert.match(
      (await containerd.ctr(['tasks', 'metrics', 'sleeper'])).stdout,
      /memory\.usage_in_bytes\s+\d+|memory\.usage\s+\d+/,
    );

    await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', 'sleeper']);
    await until('the task to stop', async () => (await status('sleeper')) === 'STOPPED');
    assert.match((await containerd.ctr(['tasks', 'rm', 'sleeper'])).stderr, /exit code 137/);
    assert.equal(await status('sleeper'), undefined);
  });
});

test('a daemon that knows the newer Task API is told of it, others are not', async () => {
  await withSleeper('versioned', async () => {
    const file = join(containerd.bundle('versioned'), 'bootstrap.json');
    // containerd 2 writes down what it understood of the shim's answer; older ones read the address only.
    assert.equal(existsSync(file), containerd.major >= 2 || onHawserd);
    if (containerd.major < 2) return;
    const { version, protocol } = JSON.parse(readFileSync(file, 'utf8')) as { version: number; protocol: string };
    assert.deepEqual({ version, protocol }, { version: 3, protocol: 'ttrpc' });
    const { Features } = JSON.parse((await containerd.ctr(['plugins', 'inspect-runtime'])).stdout) as {
      Features: { ociVersionMin?: string };
    };
    assert.match(Features.ociVersionMin ?? '', /^1\./, '-info has the features of the runtime');
  });
});

test("a command that is missing is an error in the runtime's own words, and nothing is left", async () => {
  const result = await containerd.run('missing', ['/bin/nothing-here'], { reject: false });
  assert.notEqual(result.exitCode, 0);
  assert.match(result.stderr, /OCI runtime create failed: .*\/bin\/nothing-here.*no such file or directory/i);
  assert.equal(existsSync(containerd.bundle('missing')), false);
  await containerd.ctr(['containers', 'rm', 'missing'], { reject: false });
});

test('an image is unpacked, mounted as the root file system, and unmounted afterwards', async () => {
  const archive = await makeImage(containerd.dir, containerd.rootfs, 'docker.io/library/busybox:test');
  await containerd.ctr(['images', 'import', archive]);
  const { stdout } = await containerd.ctr([
    'run',
    '--rm',
    'docker.io/library/busybox:test',
    'image',
    '/bin/sh',
    '-c',
    'mount | head -n 1; touch /new',
  ]);
  assert.match(stdout, /on \/ type overlay/);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(containerd.state), false, 'no mount is left');
});

test('events come in order, each once', async () => {
  const events = spawn(...containerd.command(['events']), { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  events.stdout.setEncoding('utf8').on('data', (data: string) => (text += data));
  try {
    // The subscription is there when an event made for it shows.
    await until('the subscription', async () => {
      await containerd.ctr(['namespaces', 'label', containerd.namespace, `seen=${Date.now()}`]);
      return text.includes('/namespaces/update');
    });
    await containerd.run('ordered', ['/bin/true']);
    await until('the last event', () => text.includes('/containers/delete'));
    const topics = text
      .split('\n')
      .map((line) => /(\/tasks\/\S+)/.exec(line)?.[1])
      .filter(Boolean);
    assert.deepEqual(topics, ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  } finally {
    events.kill();
  }
});

test('containerd is killed and comes back: the container runs on, can be used, and its exit arrives', async () => {
  await withSleeper('survivor', async () => {
    const shims = await containerd.shimPids();
    await containerd.stop('SIGKILL');
    await containerd.start();
    assert.deepEqual(await containerd.shimPids(), shims, 'the same shim serves it');
    assert.equal(await status('survivor'), 'RUNNING');
    assert.equal(
      (await containerd.ctr(['tasks', 'exec', '--exec-id', 'after', 'survivor', '/bin/echo', 'still here'])).stdout,
      'still here',
    );
    await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', 'survivor']);
    await until('the exit', async () => (await status('survivor')) === 'STOPPED');
  });
});

test('field 5: a container that ends while containerd is away is there when it comes back, and its exit is told', async () => {
  await containerd.ctr(['run', '-d', '--rootfs', containerd.rootfs, 'leaver', '/bin/sleep', '1000']);
  const pid = Number(readFileSync(`${containerd.bundle('leaver')}/init.pid`, 'utf8'));
  await containerd.stop('SIGKILL');
  process.kill(pid, 'SIGKILL');
  await until('the exit to be written down', () => existsSync(`${containerd.bundle('leaver')}/exit.json`));
  const before = containerd.logText().length;
  await containerd.start();
  assert.equal(await status('leaver'), 'STOPPED');
  await until('the kept event', () =>
    containerd
      .logText()
      .slice(before)
      .split('\n')
      .some((line) => line.includes('event forwarded') && line.includes('/tasks/exit')),
  );
  assert.match((await containerd.ctr(['tasks', 'rm', 'leaver'])).stderr, /exit code 137/);
  await containerd.ctr(['containers', 'rm', 'leaver']);
});

test('bug 21, field 11: a shim that is killed takes its container with it; containerd cleans up and says so', async () => {
  await containerd.ctr(['run', '-d', '--rootfs', containerd.rootfs, 'orphan', '/bin/sleep', '1000']);
  const init = Number(readFileSync(`${containerd.bundle('orphan')}/init.pid`, 'utf8'));
  const shim = (await containerd.shimPids()).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0orphan\0'),
  );
  process.kill(shim!, 'SIGKILL');
  await until('the bundle to go', () => !existsSync(containerd.bundle('orphan')));
  await until('the container to go', () => !isAlive(init));
  assert.equal(await status('orphan'), undefined);
  await containerd.ctr(['containers', 'rm', 'orphan']);
});

test('nothing is left of all that: no shim, bundle, socket or mount', async () => {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
  const bundles = `${containerd.state}/io.containerd.runtime.v2.task/${containerd.namespace}`;
  await until('the last bundle to go', () => readdirSync(bundles).length === 0);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(containerd.dir), false);
});
