/**
 * `make bench`: the built shim beside the Go shim and bare runc, in one run, taking turns. Times are of this machine at
 * this moment; only the ratios say something elsewhere.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ContainerdServicesEventsTtrpcV1Events as Events, ContainerdTaskV2Task as Task, containerd, pack } from '../../src/api/index.js';
import { makeFifo } from '../../src/sys/index.js';
import { connect, Server, type Client } from '../../src/ttrpc/index.js';
import { createServer } from 'node:net';
import { makeRootfs, shimDir, until } from '../support/daemons.js';

const ROUNDS = Number(process.env.HAWSER_BENCH_ROUNDS ?? 20);
const THROUGHPUT_BYTES = 1024 * 1024 * 1024;

const dir = mkdtempSync(join(tmpdir(), 'hawser-bench-'));
const rootfs = makeRootfs(join(dir, 'rootfs'));
const eventSocket = join(dir, 'events.sock');
let serial = 0;
const exitWaiters = new Map<string, () => void>();

/** Takes the events as a daemon would. */
async function fakeDaemon(): Promise<() => void> {
  const server = new Server().add(Events, {
    Forward({ envelope }) {
      if (envelope?.topic === '/tasks/exit' && envelope.event?.value) {
        exitWaiters.get(containerd.events.TaskExit.decode(envelope.event.value).containerId)?.();
      }
      return {};
    },
  });
  const listener = createServer().listen(eventSocket);
  await server.serve(listener);
  return () => server.close();
}

interface Bundle {
  id: string;
  path: string;
}

function makeBundle(args: string[]): Bundle {
  const id = `bench${process.pid}x${serial++}`;
  const path = join(dir, 'bundles', id);
  mkdirSync(path, { recursive: true });
  const namespaces = ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type }));
  writeFileSync(join(path, 'config.json'), JSON.stringify({
    ociVersion: '1.0.2', root: { path: rootfs, readonly: false }, hostname: id,
    process: { terminal: false, user: { uid: 0, gid: 0 }, cwd: '/', args, env: ['PATH=/bin'] },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] }],
    linux: { namespaces, cgroupsPath: `/hawser-bench/${id}` },
  }));
  return { id, path };
}

class Shim {
  constructor(readonly name: string, readonly binary: string) {}

  start({ id, path }: Bundle): string {
    const result = spawnSync(this.binary, ['-namespace', 'bench', '-address', join(dir, 'grpc.sock'), '-publish-binary', '/bin/true', '-id', id, 'start'], {
      cwd: path, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, TTRPC_ADDRESS: eventSocket },
    });
    if (result.status !== 0) throw new Error(`${this.name} start: ${result.stderr}`);
    return result.stdout.trim().replace('unix://', '');
  }

  delete({ id, path }: Bundle): void {
    const result = spawnSync(this.binary, ['-namespace', 'bench', '-address', join(dir, 'grpc.sock'), '-publish-binary', '/bin/true', '-id', id, '-bundle', path, 'delete'], {
      cwd: path, stdio: 'ignore', env: { PATH: process.env.PATH },
    });
    if (result.status !== 0) throw new Error(`${this.name} delete: exit status ${result.status}`);
  }
}

type Times = Record<string, number>;

async function timed<T>(times: Times, name: string, work: () => T | Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  times[name] = (times[name] ?? 0) + performance.now() - from;
  return result;
}

const options = () => pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root: join(dir, 'runc') });

async function withShim<T>(shim: Shim, args: string[], work: (client: Client, bundle: Bundle) => Promise<T>, times: Times = {}): Promise<T> {
  const bundle = makeBundle(args);
  // The daemon makes the FIFO for the shim's log, and reads it.
  makeFifo(join(bundle.path, 'log'), 0o700);
  const log = openSync(join(bundle.path, 'log'), constants.O_RDWR | constants.O_NONBLOCK);
  const address = await timed(times, 'start', () => shim.start(bundle));
  const client = await connect(address);
  try {
    return await work(client, bundle);
  } finally {
    await client.service(Task).Shutdown({ id: bundle.id });
    client.close();
    await timed(times, 'delete action', () => shim.delete(bundle));
    closeSync(log);
    rmSync(bundle.path, { recursive: true, force: true });
  }
}

/** One container from start to delete. */
async function lifecycle(shim: Shim): Promise<Times> {
  const times: Times = {};
  await withShim(shim, ['/bin/true'], async (client, { id, path }) => {
    const task = client.service(Task);
    const exit = new Promise<void>((resolve) => exitWaiters.set(id, resolve));
    await timed(times, 'Create', () => task.Create({ id, bundle: path, options: options() }));
    await timed(times, 'Start', () => task.Start({ id }));
    await timed(times, 'Wait', () => task.Wait({ id }));
    await exit;
    await timed(times, 'Delete', () => task.Delete({ id }));
  }, times);
  times.total = times.start! + times.Create! + times.Start! + times.Wait! + times.Delete!;
  return times;
}

/** The floor: runc alone, as a shim would call it. */
async function bare(): Promise<Times> {
  const times: Times = {};
  const { id, path } = makeBundle(['/bin/true']);
  const runc = (...args: string[]): void => {
    const result = spawnSync('runc', ['--root', join(dir, 'runc/bare'), '--log', join(path, 'log.json'), '--log-format', 'json', ...args], { stdio: 'ignore' });
    if (result.status !== 0) throw new Error(`runc ${args.join(' ')}: exit status ${result.status}`);
  };
  await timed(times, 'Create', () => runc('create', '--bundle', path, '--pid-file', join(path, 'init.pid'), id));
  await timed(times, 'Start', () => runc('start', id));
  await until('the end', () => spawnSync('runc', ['--root', join(dir, 'runc/bare'), 'state', id], { encoding: 'utf8' }).stdout.includes('"stopped"'));
  await timed(times, 'Delete', () => runc('delete', id));
  times.total = times.Create! + times.Start! + times.Delete!;
  rmSync(path, { recursive: true });
  return times;
}

/** Exec, Start, Wait and Delete of one more process. */
async function execs(shim: Shim, rounds: number): Promise<number[]> {
  return withShim(shim, ['/bin/sleep', '1000'], async (client, { id, path }) => {
    const task = client.service(Task);
    await task.Create({ id, bundle: path, options: options() });
    await task.Start({ id });
    const spec = { type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process', value: Buffer.from(JSON.stringify({ cwd: '/', args: ['/bin/true'], env: ['PATH=/bin'], user: { uid: 0, gid: 0 } })) };
    const took: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const from = performance.now();
      const execId = `e${i}`;
      await task.Exec({ id, execId, spec });
      await task.Start({ id, execId });
      await task.Wait({ id, execId });
      await task.Delete({ id, execId });
      took.push(performance.now() - from);
    }
    await killAndDelete(client, id);
    return took;
  });
}

async function killAndDelete(client: Client, id: string): Promise<void> {
  const task = client.service(Task);
  await task.Kill({ id, signal: 9 });
  await task.Wait({ id });
  await task.Delete({ id });
}

/** Private memory of the second of two idle shims, each with a running container, in MB. */
async function privateMemory(shim: Shim): Promise<number> {
  const idle = (work: () => Promise<number>): Promise<number> => withShim(shim, ['/bin/sleep', '1000'], async (client, { id, path }) => {
    const task = client.service(Task);
    await task.Create({ id, bundle: path, options: options() });
    await task.Start({ id });
    const { shimPid } = await task.Connect({ id });
    const inner = await work();
    // Long enough for what a shim does once it is idle.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const kB = Number(/Private_Dirty: +(\d+)/.exec(readFileSync(`/proc/${shimPid}/smaps_rollup`, 'utf8'))?.[1]);
    await killAndDelete(client, id);
    return inner || kB / 1024;
  });
  return idle(() => idle(() => Promise.resolve(0)));
}

/** Bytes per second through a FIFO, and CPU seconds of the shim meanwhile. */
async function throughput(shim: Shim): Promise<{ gib: number; cpu: number }> {
  return withShim(shim, ['/bin/dd', 'if=/dev/zero', 'bs=64k', `count=${THROUGHPUT_BYTES / 65536}`], async (client, { id, path }) => {
    const task = client.service(Task);
    const stdout = join(path, 'stdout');
    makeFifo(stdout, 0o600);
    const reader = spawn('dd', [`if=${stdout}`, 'of=/dev/null', 'bs=64k'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => reader.once('exit', resolve));
    // The Go shim refuses an empty stderr beside a stdout.
    await task.Create({ id, bundle: path, stdout, stderr: stdout, options: options() });
    const { shimPid } = await task.Connect({ id });
    const cpuBefore = cpuSeconds(shimPid);
    const from = performance.now();
    await task.Start({ id });
    await ended;
    const seconds = (performance.now() - from) / 1000;
    const cpu = cpuSeconds(shimPid) - cpuBefore;
    await task.Wait({ id });
    await task.Delete({ id });
    return { gib: THROUGHPUT_BYTES / 2 ** 30 / seconds, cpu };
  });
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** State calls per second, with 64 under way. */
async function stateRate(shim: Shim): Promise<number> {
  return withShim(shim, ['/bin/sleep', '1000'], async (client, { id, path }) => {
    const task = client.service(Task);
    await task.Create({ id, bundle: path, options: options() });
    await task.Start({ id });
    const total = 40_000;
    let left = total;
    const from = performance.now();
    await Promise.all(Array.from({ length: 64 }, async () => {
      while (left-- > 0) await task.State({ id });
    }));
    const rate = total / ((performance.now() - from) / 1000);
    await killAndDelete(client, id);
    return rate;
  });
}

const sorted = (values: number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? NaN;
const spread = (values: number[]): string => `${sorted(values)[Math.floor(values.length / 4)]?.toFixed(1)}–${sorted(values)[Math.floor((values.length * 3) / 4)]?.toFixed(1)}`;

function row(name: string, ours: number, go: number, extra = '', unit = 'ms'): void {
  console.log(`${name.padEnd(28)} ${`${ours.toFixed(unit === 'ms' ? 1 : 2)} ${unit}`.padStart(12)} ${`${go.toFixed(unit === 'ms' ? 1 : 2)} ${unit}`.padStart(12)} ${(ours / go).toFixed(2).padStart(7)}   ${extra}`);
}

const stop = await fakeDaemon();
try {
  const ours = new Shim('hawser', join(shimDir, 'containerd-shim-runc-v2'));
  const go = new Shim('go', '/usr/bin/containerd-shim-runc-v2');
  const results = { ours: [] as Times[], go: [] as Times[], bare: [] as Times[] };
  for (let i = -2; i < ROUNDS; i++) {
    const [a, b, c] = [await lifecycle(ours), await lifecycle(go), await bare()];
    if (i < 0) continue;
    results.ours.push(a);
    results.go.push(b);
    results.bare.push(c);
  }
  console.log(`\n${ROUNDS} rounds of /bin/true by direct ttrpc, medians (quartiles of ours | Go)`);
  console.log(`${''.padEnd(28)} ${'hawser'.padStart(12)} ${'Go shim'.padStart(12)} ${'ratio'.padStart(7)}   bare runc`);
  for (const name of ['start', 'Create', 'Start', 'Wait', 'Delete', 'total', 'delete action']) {
    const of = (list: Times[]): number[] => list.map((times) => times[name] ?? NaN);
    const floor = median(of(results.bare));
    row(name, median(of(results.ours)), median(of(results.go)), `${Number.isNaN(floor) ? '' : floor.toFixed(1)}   (${spread(of(results.ours))} | ${spread(of(results.go))})`);
  }
  const [oursExec, goExec] = [await execs(ours, ROUNDS), await execs(go, ROUNDS)];
  row('exec, whole', median(oursExec), median(goExec), `(${spread(oursExec)} | ${spread(goExec)})`);
  row('private memory, idle', await privateMemory(ours), await privateMemory(go), '', 'MB');
  const [oursRate, goRate] = [await throughput(ours), await throughput(go)];
  row('stdout through a FIFO', oursRate.gib, goRate.gib, `shim CPU ${oursRate.cpu.toFixed(2)} s | ${goRate.cpu.toFixed(2)} s`, 'GiB/s');
  row('State calls', (await stateRate(ours)) / 1000, (await stateRate(go)) / 1000, '64 under way', 'k/s');
} finally {
  stop();
  rmSync(dir, { recursive: true, force: true });
  spawnSync('sh', ['-c', 'find /sys/fs/cgroup -depth -type d -path "*hawser-bench*" -exec rmdir {} + 2>/dev/null']);
}
