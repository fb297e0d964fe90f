/** The examples of hawser/shim run under every daemon: containerd as this machine has it, a newer one, and hawserd. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { execa } from 'execa';
import { Containerd, temporaryDirectory, top, until } from '../support/daemons.js';
import { example, makeShims } from '../support/custom-shims.js';
import { isAlive } from '../support/machine.js';
import { Terminal } from '../support/terminal.js';

const PROCESS = ['--runtime', 'io.containerd.process.v1'];
const HOOKED = ['--runtime', 'io.containerd.hooked.v1'];

const BROKEN = `#!/usr/bin/env node
import { runShim } from 'hawser/shim';
const never = () => { throw new Error('unexpected'); };
await runShim({
  create({ spec }) {
    switch (spec.process?.args?.[0]) {
      case '/bin/throw': throw new Error('there is no moon tonight');
      case '/bin/exit': process.exit(7);
      default: return 1;
    }
  },
  start: never, kill: never, delete: never,
});
`;
const UNLOADABLE = `#!/usr/bin/env node
import { runShim } from 'hawser/shim';
if (!process.argv.includes('start')) throw new Error('this one does not even load');
await runShim({ create: () => 0, start() {}, kill() {}, delete() {} });
`;

/** containerd of a newer suite, fetched and installed nowhere. */
function newContainerd(): [string, string] {
  const [, , dir] = execFileSync('sh', [join(top, 'test/support/packages.sh'), 'containerd@forky'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
    .trim()
    .split(' ');
  return [join(dir!, 'containerd'), join(dir!, 'ctr')];
}

const daemons: readonly [name: string, programs: () => [daemon?: string, ctr?: string]][] = [
  ['containerd', () => []],
  ['containerd of a newer suite', newContainerd],
  ['hawserd', () => [join(top, 'bin/hawserd')]],
];

for (const [name, programs] of daemons) {
  describe(name, { timeout: 120_000 }, () => {
    let dir: string;
    let containerd: Containerd;

    before(async () => {
      dir = temporaryDirectory('shims');
      const shims = makeShims(dir, {
        process: example('process-shim'),
        hooked: example('hooked-shim'),
        broken: BROKEN,
        unloadable: UNLOADABLE,
      });
      containerd = await new Containerd(shims, ...programs()).start();
    });

    after(async () => {
      await containerd.cleanUp();
      rmSync(dir, { recursive: true, force: true });
    });

    const withSleeper = async (
      id: string,
      runtime: string[],
      work: () => Promise<void>,
      command = ['/bin/sleep', '1000'],
    ): Promise<void> => {
      await containerd.ctr(['run', '-d', ...runtime, '--rootfs', containerd.rootfs, id, ...command]);
      try {
        await work();
      } finally {
        await containerd.ctr(['tasks', 'rm', '-f', id], { reject: false });
        await containerd.ctr(['containers', 'rm', id], { reject: false });
      }
    };

    test('a process without runc: both streams, standard input, the exit code, and nothing left', async () => {
      const result = await containerd.run('plain', ['/bin/sh', '-c', 'echo out; echo err >&2; cat; exit 42'], {
        flags: PROCESS,
        input: 'in\n',
        reject: false,
      });
      assert.equal(result.stdout, 'out\nin');
      assert.match(result.stderr, /^err$/m);
      assert.equal(result.exitCode, 42);
      await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
      assert.ok(!existsSync(containerd.bundle('plain')));
    });

    test('a terminal, with its size, and job control', async () => {
      const terminal = new Terminal(
        ...containerd.command(['run', '--rm', '-t', ...PROCESS, '--rootfs', containerd.rootfs, 'tty', '/bin/sh']),
        { cols: 101, rows: 33 },
      );
      try {
        await terminal.showsSize(101, 33);
        // It says so itself: then it has the terminal, and what is typed is its own.
        terminal.type(`sh -c 'echo sta""rts; exec sleep 1000'\r`);
        await terminal.shows(/starts/);
        terminal.type('\x03');
        await terminal.shows(/# /);
        terminal.type('exit 5\r');
        assert.equal(await terminal.ends(), 5);
      } finally {
        terminal.kill();
      }
    });

    test('exec, signals, and what the shim does not have', async () => {
      await withSleeper('busy', PROCESS, async () => {
        const { stdout } = await containerd.ctr(['tasks', 'exec', '--exec-id', 'e', 'busy', '/bin/echo', 'in it']);
        assert.equal(stdout, 'in it');
        const pause = await containerd.ctr(['tasks', 'pause', 'busy'], { reject: false });
        assert.match(pause.stderr, /io\.containerd\.process\.v1 has no pause: not implemented/);
        const pids = (await containerd.ctr(['tasks', 'ps', 'busy'])).stdout.split('\n').slice(1);
        assert.equal(pids.length, 1);
        await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', 'busy']);
        await until('its end', async () => (await containerd.ctr(['tasks', 'ls'])).stdout.includes('STOPPED'));
      });
    });

    test('what the init leaves behind is killed', async () => {
      // Its own group is what `kill all` reaches.
      const { stdout } = await containerd.run(
        'leaver',
        ['/bin/sh', '-c', 'sleep 1000 >/dev/null 2>&1 </dev/null & echo $!'],
        { flags: PROCESS },
      );
      await until('the orphan to go', () => !isAlive(Number(stdout)));
    });

    test('a command that is not there is an error that names it', async () => {
      await assert.rejects(
        containerd.run('nothing', ['/bin/nothing'], { flags: PROCESS }),
        /\/bin\/nothing.*not found|exit code 127/s,
      );
    });

    test('the shim is killed: the daemon sees the end, the process dies, and the container can be removed', async () => {
      await withSleeper('orphan', PROCESS, async () => {
        const init = Number(readFileSync(join(containerd.bundle('orphan'), 'init.pid'), 'utf8'));
        const shims = await containerd.shimPids();
        assert.equal(shims.length, 1);
        process.kill(shims[0]!, 'SIGKILL');
        await until('the process to go', () => !isAlive(init));
        await until('the task to be removed', async () => {
          await containerd.ctr(['tasks', 'rm', '-f', 'orphan'], { reject: false });
          return !existsSync(containerd.bundle('orphan'));
        });
      });
    });

    test('the daemon is restarted: the process goes on, and its exit is told', async () => {
      await withSleeper('survivor', PROCESS, async () => {
        const shims = await containerd.shimPids();
        await containerd.stop('SIGKILL');
        await containerd.start();
        assert.deepEqual(await containerd.shimPids(), shims);
        const { stdout } = await containerd.ctr(['tasks', 'ls']);
        assert.match(stdout, /survivor\s+\d+\s+RUNNING/);
      });
    });

    test('runc with a hook: it is told of the container before its command runs', async () => {
      const hook = join(dir, 'hook');
      writeFileSync(
        hook,
        `#!/bin/sh\nmkdir -p /run/hooked/$1\nreadlink /proc/$2/ns/mnt > /run/hooked/$1/mnt\ncat config.json > ${dir}/seen.json\n`,
        { mode: 0o755 },
      );
      const { stdout } = await containerd.run('hooked', ['/bin/sh', '-c', 'echo runs'], {
        flags: [...HOOKED, '--annotation', `com.example.before-start=${hook}`],
      });
      assert.equal(stdout, 'runs');
      assert.match(readFileSync(join(dir, 'seen.json'), 'utf8'), /com\.example\.before-start/);
      assert.ok(!existsSync('/run/hooked/hooked'), 'cleanup was not called');
    });

    test('a hook that fails keeps the command from running, and says why', async () => {
      const hook = join(dir, 'failing');
      writeFileSync(hook, '#!/bin/sh\necho the harbour is closed >&2\nexit 3\n', { mode: 0o755 });
      const result = await containerd.run('refused', ['/bin/sh', '-c', 'echo runs'], {
        flags: [...HOOKED, '--annotation', `com.example.before-start=${hook}`],
        reject: false,
      });
      assert.match(result.stderr, /io\.containerd\.hooked\.v1: beforeStart failed: .*the harbour is closed/s);
      assert.equal(result.stdout, '');
      // ctr of 1.6 leaves a task that did not start.
      await containerd.ctr(['tasks', 'rm', '-f', 'refused'], { reject: false });
      await containerd.ctr(['containers', 'rm', 'refused'], { reject: false });
      await until('the shim to end', async () => (await containerd.shimPids()).length === 0);
    });

    test("the hooked shim is killed: runc's container goes, and the hook's own things", async () => {
      await withSleeper('hooked-orphan', HOOKED, async () => {
        mkdirSync('/run/hooked/hooked-orphan', { recursive: true });
        const init = Number(readFileSync(join(containerd.bundle('hooked-orphan'), 'init.pid'), 'utf8'));
        process.kill((await containerd.shimPids())[0]!, 'SIGKILL');
        await until('the container to go', () => !isAlive(init));
        await until('its cleanup', () => !existsSync('/run/hooked/hooked-orphan'));
      });
    });

    test('a shim whose create throws, gives nonsense, or ends the process: each is an error, and nothing is left', async () => {
      const run = async (id: string, command: string): Promise<string> => {
        const { stderr, exitCode } = await containerd.run(id, [command], {
          flags: ['--runtime', 'io.containerd.broken.v1'],
          reject: false,
        });
        assert.notEqual(exitCode, 0);
        return stderr;
      };
      assert.match(
        await run('throws', '/bin/throw'),
        /io\.containerd\.broken\.v1: create failed: there is no moon tonight/,
      );
      assert.match(
        await run('nonsense', '/bin/x'),
        /create failed: it gave 1, which is the pid of no child process of this shim/,
      );
      assert.match(await run('exits', '/bin/exit'), /ttrpc: closed|connection|Unavailable/i);
      await until('the log to say so', () =>
        containerd.logText().includes('the shim ends with status 7 during Create'),
      );
      await until('the shims to end', async () => (await containerd.shimPids()).length === 0);
      for (const id of ['throws', 'nonsense', 'exits']) {
        await containerd.ctr(['containers', 'rm', id], { reject: false });
        assert.ok(!existsSync(containerd.bundle(id)), id);
      }
    });

    test('a shim that does not even load says why', async () => {
      const { stderr } = await containerd.run('unloadable', ['/bin/true'], {
        flags: ['--runtime', 'io.containerd.unloadable.v1'],
        reject: false,
      });
      assert.match(
        stderr,
        /io\.containerd\.unloadable\.v1: the shim could not be started: it ended with status 1; it said: .*this one does not even load/s,
      );
    });
  });
}

test('-v and -info name the runtime', async () => {
  const dir = temporaryDirectory('shims');
  try {
    const bin = makeShims(dir, { process: example('process-shim') });
    const version = await execa(join(bin, 'containerd-shim-process-v1'), ['-v']);
    assert.match(version.stdout, /^io\.containerd\.process\.v1:\n {2}Version:/);
    const info = await execa(join(bin, 'containerd-shim-process-v1'), ['-info'], { input: '' });
    assert.match(info.stdout, /io\.containerd\.process\.v1/);
    const bare = await execa(join(bin, 'containerd-shim-process-v1'), [], { reject: false, stdin: 'ignore' });
    assert.equal(bare.exitCode, 1);
    assert.match(bare.stderr, /shim namespace cannot be empty; containerd gives it by -namespace/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
