/**
 * `make soak-death N=500`: so many containers, four at a time, each with an exec, while workers are killed at random, at any step of
 * any operation. Each life is gone through as a patient client does it: what was broken off is looked at, and asked again. No
 * connection may close, no exit be lost or told with another status, and nothing be left. How many exits were told twice is said: those
 * whose worker died when the daemon had them, and before it had the daemon's answer.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ContainerdServicesEventsTtrpcV1Events as Events,
  containerd,
  pack,
  ContainerdTaskV2Task as Task,
} from '../../src/api/index.js';
import { Code, Server, TtrpcError, type ServiceClient } from '../../src/ttrpc/index.js';
import { shimDir, until } from '../support/daemons.js';
import { stateOf } from '../support/debug.js';
import { allProcesses, quietly, zygotesIn } from '../support/machine.js';
import { sweep } from './cgroup.js';
import { Lab, pause } from './lab.js';
import { Shim } from './shim.js';

const TOTAL = Number(process.argv[2] ?? 500);
const AT_ONCE = 4;
/** On average one of the workers is killed so often. */
const KILL_EVERY_MS = 150;
const STATUS = 7;

const dir = mkdtempSync(join(tmpdir(), 'hawser-bench-'));
const lab = new Lab(dir);
const cgroup = `/hawser-bench-${process.pid}`;
/** By container: the statuses of its init's exit, as they were told. */
const told = new Map<string, number[]>();
const daemon = new Server().add(Events, {
  Forward: ({ envelope }) => {
    if (envelope?.topic === '/tasks/exit' && envelope.event?.value) {
      const { containerId, id, exitStatus } = containerd.events.TaskExit.decode(envelope.event.value);
      if (id === containerId) told.set(id, [...(told.get(id) ?? []), exitStatus]);
    }
    return {};
  },
});
await daemon.serve(createServer().listen(lab.events));
const ours = new Shim(lab, 'hawser', join(shimDir, 'containerd-shim-runc-v2'), cgroup);
const seen = { killed: 0, brokenOff: 0, undone: 0, lives: 0 };
let begun = 0;
let isOver = false;

type Client = ServiceClient<typeof Task>;

/** Undefined when it was broken off, which is not known to the shim in any other way. */
async function tried<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof TtrpcError)) throw error;
    // A create that is being undone.
    if (error.code === Code.AlreadyExists) return undefined;
    if (error.code !== Code.Unavailable) throw error;
    assert.match(error.message, /was broken off/, 'no connection closes');
    seen.brokenOff++;
    return undefined;
  }
}

async function statusOf(task: Client, id: string): Promise<number | undefined> {
  try {
    return (await task.State({ id })).status;
  } catch (error) {
    if (error instanceof TtrpcError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

async function oneExec(task: Client, id: string): Promise<void> {
  const execId = 'e';
  const value = Buffer.from(
    JSON.stringify({ args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'] }),
  );
  const spec = { type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value };
  const added = await tried(task.Exec({ id, execId, spec }));
  if (added && (await tried(task.Start({ id, execId }))))
    assert.ok([0, 137].includes((await task.Wait({ id, execId })).exitStatus), 'it ends, or its container does');
  try {
    await tried(task.Delete({ id, execId }));
  } catch (error) {
    // Added or deleted by a call whose answer was lost.
    if (!(error instanceof TtrpcError) || error.code !== Code.NotFound) throw error;
  }
}

async function one(): Promise<void> {
  await ours.with(
    ours.bundle(['/bin/sh', '-c', `sleep 0.2; exit ${STATUS}`]),
    async ({ task, address, bundle: { id, path } }) => {
      const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root: join(dir, 'runc') });
      while (!(await tried(task.Create({ id, bundle: path, options })))) {
        // Until it is undone its name is taken.
        await until('the create to be undone', () => !existsSync(join(dir, 'runc', 'bench', id)));
        await pause(20);
        seen.undone++;
      }
      const { Status } = containerd.task.v2;
      while (!(await tried(task.Start({ id })))) if ((await statusOf(task, id)) !== Status.CREATED) break;
      if ((await statusOf(task, id)) === Status.RUNNING) await oneExec(task, id).catch(ended);
      assert.equal((await task.Wait({ id })).exitStatus, STATUS);
      await until('its exit', () => told.has(id)).catch(async (error: unknown) => {
        console.log(JSON.stringify(await stateOf({ socket: address.replace('unix://', '') })));
        throw error;
      });
      assert.equal((await task.Delete({ id })).exitStatus, STATUS);
      seen.lives++;
    },
  );
}

/** The container was over before its exec was. */
function ended(error: unknown): void {
  if (!(error instanceof TtrpcError) || error.message.includes('broken off')) throw error;
}

async function kill(): Promise<void> {
  while (!isOver) {
    await pause(Math.random() * 2 * KILL_EVERY_MS);
    const workers = allProcesses().filter(
      ({ command, pid }) => command.startsWith('hawser-worker bench/') && isOurs(pid),
    );
    const victim = workers[Math.floor(Math.random() * workers.length)];
    if (!victim) continue;
    try {
      process.kill(victim.pid, 'SIGKILL');
      seen.killed++;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Somebody else's may run at the same time; and until it serves, the end of a worker is its shim's. */
function isOurs(pid: number): boolean {
  try {
    const monitor = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[2]!;
    const held = readdirSync(`/proc/${monitor}/fd`).map((fd) => readlinkSync(`/proc/${monitor}/fd/${fd}`));
    const serves = held.some((file) => file.includes('hawser-ledger'));
    return serves && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(dir);
  } catch {
    return false;
  }
}

try {
  const from = performance.now();
  const killer = kill();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (begun < TOTAL) {
        if (++begun % 100 === 0) console.log(`${begun} begun, ${JSON.stringify(seen)}`);
        await one();
      }
    }),
  );
  isOver = true;
  await killer;
  const wrong = [...told].filter(([, statuses]) => statuses.some((status) => status !== STATUS));
  const twice = [...told].filter(([, statuses]) => statuses.length > 1).length;
  for (const pid of zygotesIn(ours.runDir)) process.kill(pid, 'SIGKILL');
  await until('every process to be gone', () => allProcesses().every(({ command }) => !command.includes(dir)));
  console.log(
    `${seen.lives} containers in ${((performance.now() - from) / 1000).toFixed(0)} s, ${seen.killed} workers killed, ${seen.brokenOff} requests broken off, ${seen.undone} creates undone; ${wrong.length} exits told wrong: ${JSON.stringify(wrong)}; ${twice} told twice, as the worker died before it had the daemon's answer`,
  );
  assert.deepEqual(wrong, []);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  isOver = true;
  lab.close();
  daemon.close();
  // What is left where something has failed; one may have ended since it was looked for.
  for (const { pid, command } of allProcesses()) if (command.includes(dir)) quietly(() => process.kill(pid, 'SIGKILL'));
  await sweep(cgroup);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
