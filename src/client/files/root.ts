/** A container's files as its processes see them; or, when it has none, as the next ones would. */
import { closeSync, existsSync, openSync, readFileSync, constants, statSync } from 'node:fs';
import { posix } from 'node:path';
import { unescaped } from '../../oci/mountinfo.js';
import { LiveTree } from '../../oci/live-tree.js';
import { Scope } from '../../oci/scope.js';
import { valueOf } from '../../oci/temporary-mounts.js';
import { O_PATH } from '../../oci/tree.js';
import { fromText, type ByteString } from '../../sys/byte-string.js';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError, NotFoundError } from '../errors.js';
import { statusOf } from '../record.js';
import type { ContainerRecord } from '../types/container.js';
import type { TaskStatus } from '../types/process.js';
import { layersOf, openLayers, type Asking, type Layers } from './layers.js';

const HAS_PROCESSES = new Set<TaskStatus['state']>(['created', 'running', 'paused', 'pausing']);

export interface OpenRoot {
  readonly tree: LiveTree;
  readonly scope: Scope;
  /** Where bind mounts and volumes are, and whether they are read-only. */
  readonly mounts: ReadonlyMap<ByteString, { readonly readOnly: boolean }>;
  /** It has processes, whose mounts are those that are seen. */
  readonly live: boolean;
}

/** Opens them for as long as a piece of work goes on. What is mounted for that nobody else sees, and it goes with this process. */
export async function withRoot<R>(
  asking: Asking,
  { writable = false },
  work: (root: OpenRoot) => Promise<R>,
): Promise<R> {
  const opened = await openRoot(asking, writable);
  try {
    return await work(opened.root);
  } finally {
    opened.close();
  }
}

/** The same for who closes it. */
export async function openRoot(asking: Asking, writable: boolean): Promise<{ root: OpenRoot; close(): void }> {
  const { record } = asking;
  const layers = await layersOf(asking);
  const pid = await livePid(asking);
  const fd = pid === undefined ? await openLayers(record, layers, { writable }) : openLive(record, layers, pid);
  const sources = new Map<ByteString, string>();
  const mounts = new Map<ByteString, { readonly readOnly: boolean }>();
  const tree = new LiveTree(fd, sources);
  const close = (): void => {
    tree.close();
    closeSync(fd);
  };
  try {
    const scope = new Scope(tree);
    for (const { type, source = '', destination, options = [] } of record.spec.mounts ?? []) {
      if (type !== 'bind' && !options.includes('bind') && !options.includes('rbind')) continue;
      const path = scope.follow(Scope.clean(fromText(posix.normalize(`/${destination}`))));
      mounts.set(path, { readOnly: options.includes('ro') });
      if (pid !== undefined || !existsSync(source)) continue;
      sources.set(path, source);
      scope.forget();
    }
    return { root: { tree, scope, mounts, live: pid !== undefined }, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Of the first process; undefined when there is none. */
async function livePid({ services, record: { id }, signal }: Asking): Promise<number | undefined> {
  try {
    const { process } = await services.tasks.Get({ containerId: id }, { signal });
    const { state, pid } = statusOf(id, process ?? {});
    return HAS_PROCESSES.has(state) && pid > 0 ? pid : undefined;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

function openLive(record: ContainerRecord, layers: Layers, pid: number): number {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/root`, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw notHere(record, `there is no process ${pid} here`);
  }
  try {
    if (!isRootOf(layers, pid, fd)) throw notHere(record, `process ${pid} has other files here`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The daemon may count processes otherwise, or have ended that one by now: any other must not be taken for it. */
function isRootOf(layers: Layers, pid: number, fd: number): boolean {
  const [only] = 'mounts' in layers ? layers.mounts : [];
  const upper = only?.type === 'overlay' ? valueOf(only.options ?? [], 'upperdir') : undefined;
  if (upper !== undefined) return upperDirectories(pid).includes(upper);
  const directory = 'directory' in layers ? layers.directory : only?.source;
  if (directory?.startsWith('/') !== true || !existsSync(directory)) return true;
  const [one, other] = [directory, `/proc/self/fd/${fd}/.`].map((path) => statSync(path, { bigint: true }));
  return !one!.isDirectory() || (one!.dev === other!.dev && one!.ino === other!.ino);
}

function upperDirectories(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
  return [...text.matchAll(/[ ,]upperdir=([^ ,\n]+)/g)].map(([, path = '']) => unescaped(path));
}

function notHere({ id }: ContainerRecord, why: string): FailedPreconditionError {
  return new FailedPreconditionError(
    Code.FailedPrecondition,
    `container ${id} runs, and ${why}: its files can be reached on the daemon's machine alone, as root, where processes have the daemon's numbers: failed precondition`,
  );
}
