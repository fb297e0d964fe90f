/**
 * What a zygote does before it has a container: it lives the life of one, with a program that stands in for the runtime,
 * through a socket of its own, in a directory of its own. What is slow the first time (to compile, to read in, to learn
 * the types of things) is then done when a container comes.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { containerd } from '../../api/gen/api.js';
import {
  ContainerdServicesEventsTtrpcV1Events as Events,
  ContainerdTaskV2Task as Task,
} from '../../api/gen/services.js';
import { pack } from '../../api/typeurl.js';
import { Bundle } from '../../oci/bundle.js';
import { becomeSubreaper, makeFifo } from '../../sys/index.js';
import { connect, Server, type ServiceClient } from '../../ttrpc/index.js';
import { parseFlags } from '../program/flags.js';
import { Acceptor } from '../program/accept.js';
import { listenAt } from '../program/listen.js';
import { FifoLogger } from '../observe/log.js';
import { Observations } from '../observe/observations.js';
import { Service } from '../worker/serve.js';
import { takePlace } from '../program/start.js';

/** What a container and an exec usually are to a shim. */
const ID = 'rehearsal';
const SPEC = {
  ociVersion: '1.0.2',
  process: { args: ['true'], cwd: '/', env: ['PATH=/bin'] },
  annotations: {},
  linux: { namespaces: [{ type: 'pid' }], cgroupsPath: `/${ID}` },
};
const PROCESS = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
/** From then on it gets no faster that is worth the time. */
export const LIVES = 3;
/** By then what every request goes through has been compiled. */
const CALLS = 500;

/**
 * Lives one life, and leaves nothing of it behind: no descriptor and no handle, as whoever comes next is forked from here.
 *
 * @param standIn the program that stands in for the runtime
 * @param dir where the directory for it is made
 * @param isWanted asked in between: true when there is something better to do
 */
export async function rehearse(standIn: string, dir: string, isWanted: () => boolean): Promise<void> {
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
    await live(standIn, join(own, ID), address.path, isWanted);
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
async function live(standIn: string, bundle: string, ttrpcAddress: string, isWanted: () => boolean): Promise<void> {
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
  const { listening } = await takePlace(invocation, new Bundle(bundle), input, process.pid, observations.timeline);
  if (!listening) throw new Error(`${bundle} is not our own`);
  const service = new Service({
    invocation,
    listening,
    log: new FifoLogger(false),
    observations,
    interceptors: [],
    ttrpcAddress,
    isRehearsal: true,
  });
  const over = service.run();
  const held: number[] = [];
  try {
    const client = await connect(listening.path);
    try {
      await oneContainer(client.service(Task), standIn, bundle, held, isWanted);
    } finally {
      client.close();
    }
  } finally {
    service.end(ID);
    await over;
    for (const fd of held) closeSync(fd);
  }
}

async function oneContainer(
  task: ServiceClient<typeof Task>,
  standIn: string,
  bundle: string,
  held: number[],
  isWanted: () => boolean,
): Promise<void> {
  const fifo = (name: string): string => {
    const path = join(bundle, name);
    makeFifo(path, 0o600);
    held.push(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    return path;
  };
  const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map(fifo) as [string, string, string];
  const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { binaryName: standIn, root: bundle });
  await task.Connect({ id: ID });
  await task.Create({ id: ID, bundle, stdin, stdout, stderr, options });
  const exit = task.Wait({ id: ID });
  for (let call = 0; call < CALLS && !isWanted(); call++) await task.State({ id: ID });
  if (!isWanted()) {
    const spec = { type_url: PROCESS, value: Buffer.from(JSON.stringify(SPEC.process)) };
    const exec = { id: ID, execId: 'exec' };
    await task.Exec({ ...exec, stdin, stdout, stderr, spec });
    await task.Start(exec);
    await task.Wait(exec);
    await task.Delete(exec);
  }
  // The stand-in's init ends at once.
  await task.Start({ id: ID });
  await exit;
  await task.Delete({ id: ID });
}
