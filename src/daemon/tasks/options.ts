/** What the daemon reads of a runtime's options; all else is passed on to the shim as it is (contract §5). */
import { basename } from 'node:path';
import { containerd, errdefs, isType, pack, type google } from '../../api/full.js';
import type { Spec } from '../../oci/spec.js';

type Any = google.protobuf.Any.$Properties;

const EMPTY = new Uint8Array();

const OPTIONS = 'containerd.runc.v1.Options';
const CHECKPOINT = 'containerd.runc.v1.CheckpointOptions';
const LINUX_RUNTIME = 'containerd.linux.runc.RuncOptions';
const LINUX_CREATE = 'containerd.linux.runc.CreateOptions';
const LINUX_CHECKPOINT = 'containerd.linux.runc.CheckpointOptions';

/**
 * The options that a shim gets: those of the request if there are any, else the container's. The first runtime of containerd 1
 * had two types that go together, one for the runtime and one for the task: they are made one.
 */
export function mergeOptions(forTask: Any | null | undefined, forRuntime: Any | null | undefined): Any | undefined {
  const [task, runtime] = [given(forTask), given(forRuntime)];
  if (task !== undefined && runtime !== undefined && isType(task, LINUX_CREATE) && isType(runtime, LINUX_RUNTIME)) {
    const {
      runtime: binaryName,
      runtimeRoot: root,
      criuPath,
      systemdCgroup,
    } = containerd.linux.runc.RuncOptions.decode(runtime.value!);
    const { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath } =
      containerd.linux.runc.CreateOptions.decode(task.value!);
    return pack(OPTIONS, containerd.runc.v1.Options, {
      binaryName,
      root,
      criuPath,
      systemdCgroup,
      noPivotRoot,
      noNewKeyring,
      shimCgroup,
      ioUid,
      ioGid,
      criuWorkPath,
      criuImagePath,
    });
  }
  return task ?? runtime;
}

/**
 * Gives the shim a directory for its runtime's state, when nobody has named one: a shim's own default is everybody's, and a
 * container of another daemon's that has the same name would be in the way, or worse, be taken for this one.
 *
 * @param shim its program
 * @param root the daemon's
 */
export function withRoot(options: Any | undefined, shim: string, root: string): Any | undefined {
  if (options === undefined)
    return /^containerd-shim-runc-v\d$/.test(basename(shim))
      ? pack(OPTIONS, containerd.runc.v1.Options, { root })
      : undefined;
  if (isType(options, OPTIONS))
    return containerd.runc.v1.Options.decode(options.value!).root
      ? options
      : adding(options, containerd.runc.v1.Options.encode({ root }));
  // Types of the first runtime, of which the one for a task says nothing of a root.
  if (isType(options, LINUX_CREATE))
    return mergeOptions(options, pack(LINUX_RUNTIME, containerd.linux.runc.RuncOptions, { runtimeRoot: root }));
  if (isType(options, LINUX_RUNTIME)) {
    return containerd.linux.runc.RuncOptions.decode(options.value!).runtimeRoot
      ? options
      : adding(options, containerd.linux.runc.RuncOptions.encode({ runtimeRoot: root }));
  }
  return options;
}

/** True when they ask for cgroups by systemd. */
export function hasSystemdCgroup(options: Any | undefined): boolean {
  return isType(options ?? {}, OPTIONS) && containerd.runc.v1.Options.decode(options?.value ?? EMPTY).systemdCgroup;
}

/**
 * A runtime's options as they are for a container that has none of its own. systemd takes no path, but `SLICE:PREFIX:NAME`: a container
 * whose cgroup has a path, as ctr makes it, was not meant for it, and its runtime makes the cgroup there.
 *
 * @param spec its JSON
 */
export function defaultsFor(options: Any | undefined, spec: Uint8Array): Any | undefined {
  if (!hasSystemdCgroup(options) || !pathIn(spec).startsWith('/')) return options;
  const { Options } = containerd.runc.v1;
  return pack(OPTIONS, Options, { ...Options.decode(options!.value!), systemdCgroup: false });
}

function pathIn(spec: Uint8Array): string {
  const { linux } = JSON.parse(Buffer.from(spec).toString()) as Spec;
  return linux?.cgroupsPath ?? '';
}

/** The directory that runc's options name for its state; empty when they name none. */
export function rootIn(options: Any | undefined): string {
  if (options === undefined) return '';
  if (isType(options, OPTIONS)) return containerd.runc.v1.Options.decode(options.value!).root;
  return isType(options, LINUX_RUNTIME) ? containerd.linux.runc.RuncOptions.decode(options.value!).runtimeRoot : '';
}

/** The message with fields that it has not: what follows is merged, and what is not known here stays. */
function adding(any: Any, fields: { finish(): Uint8Array }): Any {
  return { ...any, value: Buffer.concat([any.value!, fields.finish()]) };
}

/** The directory of a checkpoint that the container is to be restored from; empty for none. */
export function restorePath(options: Any | null | undefined): string {
  if (!options?.value?.length) return '';
  if (isType(options, OPTIONS)) return containerd.runc.v1.Options.decode(options.value).criuImagePath;
  return isType(options, LINUX_CREATE) ? containerd.linux.runc.CreateOptions.decode(options.value).criuImagePath : '';
}

/**
 * The directory that a checkpoint is to be left in; empty when it is to go to the content store.
 *
 * @throws InvalidArgument for options of another type, if the runtime is one of ours
 */
export function checkpointPath(options: Any | null | undefined, runtime: string): string {
  if (!options?.value?.length) return '';
  if (isType(options, CHECKPOINT)) return containerd.runc.v1.CheckpointOptions.decode(options.value).imagePath;
  if (isType(options, LINUX_CHECKPOINT)) return containerd.linux.runc.CheckpointOptions.decode(options.value).imagePath;
  if (/^(io\.containerd\.)?runc\b|^io\.containerd\.runtime\.v1\.linux$/.test(runtime)) {
    throw errdefs.invalidArgument(`invalid task checkpoint option for ${runtime}: ${options.type_url}`);
  }
  return '';
}

/** Options for a checkpoint that are given by name. */
export function checkpointOptions(options: containerd.runc.v1.CheckpointOptions.$Properties): Any {
  return pack(CHECKPOINT, containerd.runc.v1.CheckpointOptions, options);
}

function given(any: Any | null | undefined): Any | undefined {
  return any?.value?.length ? any : undefined;
}
