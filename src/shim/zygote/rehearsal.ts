/**
 * What a zygote does before it has a container: it lives the life of one, with a program that stands in for the runtime,
 * through a socket of its own, in a directory of its own. What is slow the first time (to compile, to read in, to learn
 * the types of things) is then done when a container comes.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { containerd } from '../../api/gen/api.js';
import {
  ContainerdServicesEventsTtrpcV1Events as Events,
  ContainerdTaskV2Task as Task,
} from '../../api/gen/services.js';
import { pack } from '../../api/typeurl.js';
import { Bundle } from '../../oci/bundle.js';
import { cgroupMounts } from '../../oci/cgroup-mounts.js';
import { becomeSubreaper, cook, makeFifo, searchPath, type GivenRecord } from '../../sys/index.js';
import { connect, Server, type ServiceClient } from '../../ttrpc/index.js';
import { statsRecipe } from '../cgroup/metrics.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';
import { parseFlags } from '../program/flags.js';
import { Acceptor } from '../program/accept.js';
import { listenAt } from '../program/listen.js';
import { FifoLogger } from '../observe/log.js';
import { Observations } from '../observe/observations.js';
import { earlierOf } from '../worker/earlier.js';
import { keepsFromLeaving } from '../worker/leaving.js';
import { Service } from '../worker/serve.js';
import { idleMsOf } from '../worker/sleep.js';
import { startAt, takePlace } from '../program/start.js';
import { wordsOf } from '../worker/identity.js';
import { monitored } from './monitored.js';
import { optimizingEagerly } from './optimize.js';

/** What a container and an exec usually are to a shim. */
const ID = 'rehearsal';
const SPEC = {
  ociVersion: '1.0.2',
  process: { args: ['true'], cwd: '/', env: ['PATH=/bin'] },
  annotations: {},
  linux: { namespaces: [{ type: 'pid' }], cgroupsPath: `/${ID}` },
};
const PROCESS = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
/** What tells the stand-in's init to take its time (stand-in.c). */
const LATE = 'late';
/** From then on it gets no faster that is worth the time. */
export const LIVES = 3;
/** By then what every request goes through has been compiled; some come together. */
const CALLS = 500;
const TOGETHER = 4;
const PATIENCE_MS = 10_000;
/** No process has this pid. */
const NOBODY = 0;
/** How often, and how soon again, it is tried to leave. */
const TRIES = 100;
const TRY_MS = 5;

/**
 * Lives one life, and leaves nothing of it behind: no descriptor and no handle, as whoever comes next is forked from here.
 *
 * @param standIn the program that stands in for the runtime
 * @param dir where the directory for it is made
 * @param isWanted asked in between: true when there is something better to do
 * @param amid of the last life, in which the shim sleeps once and is woken: called while everything is there, and something is waited for; not when
 *   there is something better to do by then
 */
export async function rehearse(
  standIn: string,
  dir: string,
  isWanted: () => boolean,
  amid?: () => void,
): Promise<void> {
  becomeSubreaper();
  removeLeftovers(dir);
  // A short name, as the path of a socket must be short.
  const own = join(dir, `r${process.pid}`);
  mkdirSync(own, { mode: 0o700 });
  const daemon = new Server().add(Events, { Forward: () => ({}) });
  let acceptor: Acceptor | undefined;
  try {
    const address = await listenAt(join(own, 'daemon'));
    if (address === 'taken') throw new Error(`${own} is not our own`);
    acceptor = new Acceptor(
      address.fd,
      (fd) => void daemon.accept(new Socket({ fd, readable: true, writable: true })),
      fail,
    );
    await monitored(own, () => live(standIn, join(own, ID), address.path, isWanted, amid));
  } finally {
    acceptor?.close();
    daemon.close();
    rmSync(own, { recursive: true, force: true });
  }
}

function fail(error: Error): never {
  throw error;
}

/** What a zygote that was killed in the midst of a rehearsal has left. */
function removeLeftovers(dir: string): void {
  for (const name of readdirSync(dir)) {
    const [, pid] = /^r(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`)))
      rmSync(join(dir, name), { recursive: true, force: true });
  }
}

/** From `start` to the end of the shim, as the daemon does it. */
async function live(
  standIn: string,
  bundle: string,
  ttrpcAddress: string,
  isWanted: () => boolean,
  amid: (() => void) | undefined,
): Promise<void> {
  // With the runtime's root, which a real one makes itself.
  mkdirSync(join(bundle, ID), { recursive: true });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(SPEC));
  const invocation = parseFlags([
    '-namespace',
    ID,
    '-address',
    join(bundle, 'grpc'),
    '-publish-binary',
    '',
    '-id',
    ID,
    'start',
  ]);
  // So that the socket is made here and not where shims have theirs.
  const input = containerd.runtime.bootstrap.v1.BootstrapParams.encode({
    instanceId: ID,
    namespace: ID,
    socketDir: join(bundle, '..'),
  }).finish();
  const observations = new Observations();
  const { listening: bound } = await takePlace(
    invocation,
    new Bundle(bundle),
    input,
    process.pid,
    observations.timeline,
  );
  if (!bound) throw new Error(`${bundle} is not our own`);
  const log = new FifoLogger(false);
  // As where the launcher has found the place; for no daemon, as the score of a zygote is to stay what it is.
  const listening = startAt(bound.fd, bound.path, NOBODY, { log, timeline: observations.timeline });
  // What a worker shows itself as, and where it looks for the runtime.
  wordsOf(invocation);
  searchPath('runc');
  const same = { invocation, log, interceptors: [], ttrpcAddress, isRehearsal: true, idleMs: idleMsOf(undefined) };
  let service = new Service({ ...same, listening, observations });
  let over = service.run();
  const sleepAndWake = async (): Promise<void> => {
    const given = await handedOver(service);
    // A container that is none has no cgroup. What is in the directory does not matter.
    cook(statsRecipe(cgroupsAsIn(bundle)).bytes());
    await over;
    const earlier = earlierOf(given, () => log)!;
    service = new Service({ ...same, listening: earlier.listening, observations: new Observations(), earlier });
    over = service.run();
  };
  const held: number[] = [];
  try {
    // As containerd's client asks.
    const client = await connect(listening.path, { metadata: { 'containerd-namespace-ttrpc': ID } });
    try {
      await oneContainer(client.service(Task), { standIn, bundle, held, isWanted, sleepAndWake, amid });
    } finally {
      client.close();
    }
  } finally {
    service.end(ID);
    await over;
    for (const fd of held) closeSync(fd);
  }
}

/** As a container's would be here, all in one directory. */
function cgroupsAsIn(dir: string): CgroupPaths {
  if (!cgroupMounts().some(({ options }) => options.has('memory'))) return { version: 2, dir };
  const controllers = ['hugetlb', 'pids', 'cpuacct', 'cpu', 'memory', 'blkio', 'rdma'];
  return { version: 1, controllers: Object.fromEntries(controllers.map((controller) => [controller, dir])) };
}

/** Events are on their way for a moment. */
async function handedOver(service: Service): Promise<GivenRecord> {
  for (let time = 0; ; time++) {
    try {
      return await service.handOver();
    } catch (error) {
      if (!keepsFromLeaving(error) || time >= TRIES) throw error;
      await delay(TRY_MS);
    }
  }
}

interface Life {
  standIn: string;
  bundle: string;
  /** What it opens: to be closed afterwards. */
  held: number[];
  isWanted: () => boolean;
  sleepAndWake: () => Promise<void>;
  amid: (() => void) | undefined;
}

async function oneContainer(
  task: ServiceClient<typeof Task>,
  { standIn, bundle, held, isWanted, sleepAndWake, amid }: Life,
): Promise<void> {
  const fifo = (name: string): string => {
    const path = join(bundle, name);
    makeFifo(path, 0o600);
    held.push(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    return path;
  };
  const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map(fifo) as [string, string, string];
  const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { binaryName: standIn, root: bundle });
  // It ends while it is being started, or when all is quiet.
  if (!amid) writeFileSync(join(bundle, ID, LATE), '');
  await task.Connect({ id: ID });
  await task.Create({ id: ID, bundle, stdin, stdout, stderr, options });
  const exit = task.Wait({ id: ID });
  // Where the rehearsal fails before that it is in vain, and what has failed is told: that must not end the zygote.
  exit.catch(() => undefined);
  // Not the rest of a life, which comes once for each container: there the optimizing compiler would cost more than it saves.
  await optimizingEagerly(async () => {
    for (let call = 0; call < CALLS && !isWanted(); call += TOGETHER)
      await Promise.all(Array.from({ length: TOGETHER }, () => task.State({ id: ID }, { timeoutMs: PATIENCE_MS })));
  });
  if (!isWanted()) {
    const spec = { type_url: PROCESS, value: Buffer.from(JSON.stringify(SPEC.process)) };
    const exec = { id: ID, execId: 'exec' };
    // Into a log, as the command line has it for what runs in the background.
    const log = `file://${join(bundle, 'log')}?format=cri`;
    await task.Exec({ ...exec, stdin, stdout: log, stderr: log, spec });
    await task.Start(exec);
    await task.Wait(exec);
    await task.Delete(exec);
  }
  if (amid && !isWanted()) {
    // Whoever wakes has a client that waits for it. Once is enough: to do it costs more than it saves the third time.
    await sleepAndWake();
    await task.State({ id: ID });
    amid();
  }
  await task.Start({ id: ID });
  await exit;
  await task.Delete({ id: ID });
}
