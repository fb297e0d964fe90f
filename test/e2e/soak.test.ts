/**
 * A thousand containers in a row, then a hundred at once: every exit is told once, and nothing is left. Needs root.
 * Runs alone: it counts what the whole machine has.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, until } from '../support/daemons.js';

const IN_A_ROW = Number(process.env.HAWSER_SOAK ?? 1000);
const AT_ONCE = 100;

let containerd: Containerd;
let events: ReturnType<typeof spawn>;
let eventText = '';

before(async () => {
  containerd = await new Containerd(shimDir).start();
  events = spawn(...containerd.command(['events']), { stdio: ['ignore', 'pipe', 'inherit'] });
  events.stdout!.setEncoding('utf8').on('data', (data: string) => (eventText += data));
  await until('the subscription', async () => {
    await containerd.ctr(['namespaces', 'label', containerd.namespace, `seen=${Date.now()}`]);
    return eventText.includes('/namespaces/update');
  });
});

after(async () => {
  events.kill();
  await containerd.cleanUp();
});

/** What a machine has that a container could leave behind. */
function inventory(): Record<string, number> {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        // The one zygote that is left for the next container is meant to be there.
        if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0zygote\0')) return '';
        return readFileSync(`/proc/${pid}/stat`, 'utf8');
      } catch (error) {
        if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
        throw error;
      }
    });
  const count = (dir: string): number => {
    try {
      return readdirSync(dir).length;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
  };
  return {
    runtimes: processes.filter((stat) => /\((runc|containerd-shim|sleep|true)[^)]*\) [^Z]/.test(stat)).length,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
    sockets: count('/run/containerd/s'),
    runcStates: count(`/run/containerd/runc/${containerd.namespace}`),
    fifos: count('/run/containerd/fifo'),
    bundles: count(`${containerd.state}/io.containerd.runtime.v2.task/${containerd.namespace}`),
    cgroups: count(`/sys/fs/cgroup/memory/${containerd.namespace}`) + count(`/sys/fs/cgroup/${containerd.namespace}`),
    daemonDescriptors: count(`/proc/${containerd.pid}/fd`),
  };
}

/** How often the init exit of each container was told. */
function exits(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of eventText.split('\n')) {
    const id = line.includes('/tasks/exit') ? /"container_id":"([^"]+)"/.exec(line)?.[1] : undefined;
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

async function runAll(ids: string[], oneByOne: boolean): Promise<void> {
  const run = async (id: string): Promise<void> => {
    const result = await containerd.run(id, ['/bin/sh', '-c', `echo ${id}; exit 7`], { reject: false });
    assert.deepEqual([result.stdout, result.exitCode], [id, 7], `${id}: ${result.stderr}`);
  };
  if (oneByOne) for (const id of ids) await run(id);
  else await Promise.all(ids.map(run));
  await until('the last event', () => ids.every((id) => exits().has(id)));
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
}

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

test(`field 9, field 28: ${IN_A_ROW} containers in a row, then ${AT_ONCE} at once`, async () => {
  // The first ones make what stays: directories, the daemon's own connections.
  await runAll(names('warm', 3), true);
  const before = inventory();
  await runAll(names('row', IN_A_ROW), true);
  await runAll(names('burst', AT_ONCE), false);
  const told = exits();
  assert.equal(told.size, 3 + IN_A_ROW + AT_ONCE);
  assert.deepEqual(
    [...told].filter(([, count]) => count !== 1),
    [],
    'each exit is told once',
  );
  await until('everything to be as before', () => {
    const { daemonDescriptors, ...now } = inventory();
    const { daemonDescriptors: then = 0, ...past } = before;
    return JSON.stringify(now) === JSON.stringify(past) && Math.abs((daemonDescriptors ?? 0) - then) <= 3;
  }).catch(() => assert.deepEqual(inventory(), before));
});
