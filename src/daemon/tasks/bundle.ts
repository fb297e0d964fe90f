/** A task's directories, in containerd's layout, so that a shim cannot tell the two daemons apart (contract §1.11). */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { invalidArgument } from '../../api/errdefs.js';
import { checkIdentifier } from '../../api/identifier.js';
import { tryRead, writeAtomic } from '../../oci/bundle.js';
import { parseAnswer, parseBootstrap, type Bootstrap } from '../shims/answer.js';
import { removeTree, unmountBelow } from './mounts.js';

/** Where the bundles and the working directories of all tasks are. */
export interface TaskDirs {
  /** `<daemon's state>/io.containerd.runtime.v2.task` */
  readonly state: string;
  /** `<daemon's root>/io.containerd.runtime.v2.task` */
  readonly root: string;
}

export class TaskBundle {
  readonly path: string;
  /** What is to outlive a reboot, or is too big for memory. */
  readonly work: string;

  constructor(
    dirs: TaskDirs,
    readonly namespace: string,
    readonly id: string,
  ) {
    this.path = join(dirs.state, namespace, id);
    this.work = join(dirs.root, namespace, id);
  }

  /**
   * Makes it for a container with this spec.
   *
   * @param spec the JSON text, which is passed on byte for byte; undefined for a sandbox that has none
   * @throws InvalidArgument for an id that is no identifier or a spec that is no JSON; Error with code EEXIST when it is there
   */
  static create(dirs: TaskDirs, namespace: string, id: string, spec: Uint8Array | undefined): TaskBundle {
    checkIdentifier('task id', id);
    const bundle = new TaskBundle(dirs, namespace, id);
    const gid = spec && remappedGid(spec, id);
    mkdirSync(dirname(bundle.path), { recursive: true, mode: 0o711 });
    mkdirSync(bundle.path, { mode: 0o700 });
    try {
      // The root of the container's user namespace must get through to its rootfs.
      if (gid !== undefined) {
        chownSync(bundle.path, -1, gid);
        chmodSync(bundle.path, 0o710);
      }
      mkdirSync(dirname(bundle.work), { recursive: true, mode: 0o711 });
      rmSync(bundle.work, { recursive: true, force: true });
      mkdirSync(bundle.work, { mode: 0o711 });
      mkdirSync(join(bundle.path, 'rootfs'), { mode: 0o711 });
      symlinkSync(bundle.work, join(bundle.path, 'work'));
      if (spec !== undefined) writeFileSync(join(bundle.path, 'config.json'), spec);
    } catch (error) {
      rmSync(bundle.path, { recursive: true, force: true });
      rmSync(bundle.work, { recursive: true, force: true });
      throw error;
    }
    return bundle;
  }

  get log(): string {
    return join(this.path, 'log');
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** The shim's binary; undefined when it was never written. */
  get shimBinary(): string | undefined {
    return tryRead(join(this.path, 'shim-binary-path'))?.trim() || undefined;
  }

  writeShimBinary(path: string): void {
    writeAtomic(join(this.path, 'shim-binary-path'), path, 0o600);
  }

  /** Its shim is a sandbox's, and does not end with it. */
  get isSandboxed(): boolean {
    return existsSync(join(this.path, 'sandbox'));
  }

  /** Notes the sandbox that it is in. */
  writeSandbox(id: string): void {
    writeAtomic(join(this.path, 'sandbox'), id, 0o600);
  }

  /** Where the runtime's state is, as runc's shims note it for their `delete` action when they create a container; a sandbox they are not told to create so. */
  writeRoot(root: string): void {
    writeAtomic(join(this.path, 'options.json'), JSON.stringify({ root }), 0o600);
    writeAtomic(join(this.path, 'runtime'), '', 0o600);
  }

  writeBootstrap(bootstrap: Bootstrap): void {
    writeAtomic(join(this.path, 'bootstrap.json'), JSON.stringify(bootstrap), 0o644);
  }

  /** Where the shim listens: by the daemon's own note, or by the shim's. Undefined when neither is there; throws when it cannot be read. */
  bootstrap(): Bootstrap | undefined {
    const noted = tryRead(join(this.path, 'bootstrap.json'));
    if (noted !== undefined) return parseBootstrap(noted);
    const address = tryRead(join(this.path, 'address'));
    return address === undefined ? undefined : parseAnswer(Buffer.from(address));
  }

  /** Removes it with its working directory, and first of all whatever is mounted in it. */
  async remove(): Promise<void> {
    await unmountBelow(join(this.path, 'rootfs'));
    let work = this.work;
    try {
      work = readlinkSync(join(this.path, 'work'));
    } catch (error) {
      if (!['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    await removeAtOnce(this.path);
    // The link may have been made by a daemon with another root, but not point at just anything.
    await removeAtOnce(basename(work) === this.id ? work : this.work);
  }
}

/** Gone under its name at once, however long its removal takes; what a crash leaves has a name that no task has. */
async function removeAtOnce(path: string): Promise<void> {
  const hidden = join(dirname(path), `.${basename(path)}`);
  try {
    renameSync(path, hidden);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await removeTree(hidden);
    renameSync(path, hidden);
  }
  await removeTree(hidden);
}

/** The group outside that the container's root group is; undefined when it is the same. */
function remappedGid(spec: Uint8Array, id: string): number | undefined {
  let value: { linux?: { gidMappings?: { containerID?: number; hostID?: number }[] } } | null;
  try {
    value = JSON.parse(Buffer.from(spec).toString()) as typeof value;
  } catch (error) {
    throw invalidArgument(`the spec of container ${id} is not valid JSON: ${(error as Error).message}`, error);
  }
  return value?.linux?.gidMappings?.find((mapping) => (mapping.containerID ?? 0) === 0)?.hostID;
}
