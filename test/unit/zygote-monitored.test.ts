/** A rehearsal has a monitor, as a worker has, and none afterwards. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { monitored } from '../../src/shim/zygote/monitored.js';
import { isChild, searchPath, shimPid, spawn, SysError } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { processInfo } from '../support/machine.js';
import { leavesNothingOpen, processState } from './fixtures/support.js';

const nowhere = openSync('/dev/null', 'r+');

function sh(text: string): ReturnType<typeof spawn> {
  return spawn(searchPath('sh')!, ['sh', '-c', text], { stdio: [nowhere, nowhere, nowhere] });
}

async function inDirectory(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-monitored-'));
  // What a monitor says keeps no process going, and a rehearsal has its connections.
  const going = setInterval(() => undefined, 1000);
  try {
    await work(dir);
  } finally {
    clearInterval(going);
    rmSync(dir, { recursive: true });
  }
}

test('what is started meanwhile is the monitor’s child, its end is told, and afterwards children are our own again', () =>
  leavesNothingOpen(() =>
    inDirectory(async (dir) => {
      let monitor = 0;
      const given = await monitored(dir, async () => {
        monitor = shimPid();
        assert.notEqual(monitor, process.pid);
        assert.equal(readFileSync(`/proc/${monitor}/comm`, 'utf8').trim(), 'hawser-zygote');
        const child = sh('read -r line <&0; exit 7');
        assert.equal(processInfo(child.pid)?.ppid ?? monitor, monitor);
        assert.ok(isChild(child.pid));
        assert.equal(await child.exited, 7);
        return 'given back';
      });
      assert.equal(given, 'given back');
      assert.equal(shimPid(), process.pid);
      await eventually('the monitor is gone', () => !existsSync(`/proc/${monitor}`));
      assert.deepEqual(readdirSync(dir), []);
      const child = sh('exit 8');
      assert.equal(processInfo(child.pid)?.ppid ?? process.pid, process.pid);
      assert.equal(await child.exited, 8);
    }),
  ));

test('work that fails leaves no monitor, and one that is killed meanwhile is told of', () =>
  leavesNothingOpen(() =>
    inDirectory(async (dir) => {
      let monitor = 0;
      const failing = monitored(dir, () => {
        monitor = shimPid();
        return Promise.reject(new Error('it failed'));
      });
      await assert.rejects(failing, /^Error: it failed$/);
      await eventually('the monitor is gone', () => !existsSync(`/proc/${monitor}`));
      let gone = 0;
      const orphaned = monitored(
        dir,
        async () => {
          monitor = shimPid();
          process.kill(monitor, 'SIGKILL');
          await eventually('the monitor has ended', () => processState(monitor) === 'Z');
          sh('exit 0');
        },
        () => gone++,
      );
      await assert.rejects(orphaned, SysError);
      assert.ok(gone > 0);
      assert.equal(shimPid(), process.pid);
      assert.equal(await sh('exit 9').exited, 9);
    }),
  ));

test('where there is no monitor to be had the work is done without', () =>
  leavesNothingOpen(() =>
    inDirectory(async (dir) => {
      // No socket has so long a path (unix(7)).
      const long = join(dir, 'd'.repeat(100));
      mkdirSync(long);
      assert.equal(await monitored(long, () => Promise.resolve(shimPid())), process.pid);
      assert.deepEqual(readdirSync(long), []);
    }),
  ));
