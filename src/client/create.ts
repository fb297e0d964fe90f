/** Makes a container: root file system, spec, record. */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { containerd } from '../api/full.js';
import { checkIdentifier } from '../api/identifier.js';
import { withMountsApart } from '../oci/temporary-mounts.js';
import { Code } from '../ttrpc/status.js';
import { cgroupDriver } from './cgroup-driver.js';
import { isCdiName } from './cdi/names.js';
import { change, limit, quietly, throwIfAborted, Undo } from './abort.js';
import { ClientContainer, OWN_SNAPSHOT } from './container.js';
import { errorOf, InvalidArgumentError } from './errors.js';
import type { Services } from './grpc/services.js';
import type { ClientImages } from './image/images.js';
import { isGone, thisProcess } from './image/owner.js';
import type { Image, ImageConfig } from './image/types.js';
import { DEFAULT_SNAPSHOTTER } from './image/unpack.js';
import { joinedSpec, PID_OF } from './joined.js';
import { nerdctlLabels, NO_NETWORK_OF_NERDCTL } from './nerdctl.js';
import { planNetwork, type NetworkPlan } from './network/plan.js';
import { packOptions, packSpec, recordOf } from './record.js';
import { stopSignalLabel } from './signals.js';
import { makeSpec } from './spec/make.js';
import type { WithRoot } from './spec/process.js';
import type { TaskContext } from './task.js';
import { TtrpcError } from '../ttrpc/status.js';
import type { Any, Mount } from './types/calls.js';
import type { CreateOptions } from './types/container.js';
import type { Spec, SpecMount } from './spec/types.js';
import { prepareVolumes, type PreparedVolumes, type WithImage } from './volume/prepare.js';

const DEFAULT_RUNTIME = 'io.containerd.runc.v2';
/** On leases: the process that makes a container. */
const CREATING = 'io.hawser/creating';

export interface CreateContext extends TaskContext {
  readonly images: ClientImages;
}

interface RootFs {
  /** A directory. */
  readonly directory?: string;
  readonly mounts?: readonly Mount[];
  readonly snapshotKey?: string;
  readonly snapshotter?: string;
  readonly own?: boolean;
}

export async function createContainer(context: CreateContext, options: CreateOptions): Promise<ClientContainer> {
  const { services } = context;
  const { id } = options;
  const signal = limit(options);
  throwIfAborted(signal);
  check(options);
  const undo = new Undo();
  try {
    const lease = options.image === undefined ? undefined : await makeLease(context, undo, signal);
    // Once: its name may become another image's meanwhile.
    const image = options.image === undefined ? undefined : await context.images.get(options.image, { signal });
    const rootfs = await makeRoot(context, options, image, undo, lease, signal);
    const config =
      image === undefined ? undefined : await context.images.config(image, { platform: options.platform, signal });
    const volumes = await volumesFor(context, options, rootfs, config, signal);
    if (volumes !== undefined) undo.add(() => volumes.abandon());
    const runtimeOptions = optionsOf(options);
    const mounted = withMounts(options, volumes?.mounts);
    // A spec that is given as a whole says all itself.
    const network = typeof options.spec === 'object' ? undefined : await planNetwork(context, mounted, config);
    const spec = await specOf(context, mounted, network, { rootfs, config, runtimeOptions, signal });
    if (network !== undefined) spec.annotations = { ...NO_NETWORK_OF_NERDCTL, ...spec.annotations };
    const container: containerd.services.containers.v1.Container.$Properties = {
      id,
      image: image?.name ?? '',
      labels: {
        ...nerdctlLabels(id, spec.hostname, network?.names),
        ...stopSignalLabel(options.stopSignal, config?.StopSignal),
        ...options.labels,
        ...network?.labels,
        ...volumes?.labels,
        ...(options.pidOf === undefined ? {} : { [PID_OF]: options.pidOf }),
        ...(rootfs.own === true ? { [OWN_SNAPSHOT]: 'own' } : {}),
      },
      runtime: {
        name: options.runtime ?? DEFAULT_RUNTIME,
        ...(runtimeOptions === undefined ? {} : { options: runtimeOptions }),
      },
      spec: packSpec(spec),
      snapshotter: rootfs.snapshotter ?? '',
      snapshotKey: rootfs.snapshotKey ?? '',
      extensions: { ...options.extensions },
    };
    const made = await change(undo, signal, {
      make: (own) => services.containers.Create({ container }, { signal: own }),
      back: () => services.containers.Delete({ id }),
    });
    if (network !== undefined) {
      undo.add(() => network.undo());
      await network.settle(spec);
    }
    await volumes?.keep();
    // The record keeps the snapshot from now on. A lease that stays ends by itself.
    if (lease !== undefined) await quietly(services.leases.Delete({ id: lease }));
    return new ClientContainer(context, recordOf(made.container ?? container), rootfs.mounts);
  } catch (error) {
    return undo.because(error);
  }
}

function check({ id, image, rootfs, rootfsMounts, snapshotKey, spec, ...options }: CreateOptions): void {
  try {
    checkIdentifier('container id', id);
  } catch (error) {
    const { code, message } = TtrpcError.from(error);
    throw errorOf(code, message, error);
  }
  const given = [image, rootfs, rootfsMounts].filter((one) => one !== undefined);
  if (given.length > 1) throw invalid(`container ${id}: give one of image, rootfs and rootfsMounts`);
  if (given.length === 0 && snapshotKey === undefined && typeof spec !== 'object')
    throw invalid(`container ${id}: nobody says where its files are: give image, rootfs, rootfsMounts or snapshotKey`);
  if (typeof spec === 'object' && (options.volumes ?? options.volumesFrom ?? []).length > 0)
    throw invalid(`container ${id}: a whole spec says what is mounted: give either that or volumes`);
  if (rootfs !== undefined && statSync(rootfs, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw invalid(`container ${id}: its root file system ${rootfs} is no directory`);
}

/** Keeps the snapshot until there is a container that does. */
async function makeLease({ services }: CreateContext, undo: Undo, signal: AbortSignal | undefined): Promise<string> {
  const id = `hawser-${randomBytes(8).toString('hex')}`;
  const expire = new Date(Date.now() + 3_600_000).toISOString();
  const labels = { 'containerd.io/gc.expire': expire, [CREATING]: thisProcess() };
  const tidied = quietly(removeAbandoned(services, signal));
  await change(undo, signal, {
    make: (own) => services.leases.Create({ id, labels }, { signal: own }),
    back: () => services.leases.Delete({ id }),
  });
  await tidied;
  return id;
}

/** Removes what was kept for containers whose makers were killed: their snapshots would be in the way of the next try. */
async function removeAbandoned({ leases }: Services, signal: AbortSignal | undefined): Promise<void> {
  const found = await leases.List({ filters: [`labels.${JSON.stringify(CREATING)}`] }, { signal });
  for (const { id, labels } of found.leases)
    if (isGone(labels?.[CREATING] ?? '')) await leases.Delete({ id: id ?? '', sync: true }, { signal });
}

async function makeRoot(
  { services, images }: CreateContext,
  options: CreateOptions,
  image: Image | undefined,
  undo: Undo,
  lease: string | undefined,
  signal: AbortSignal | undefined,
): Promise<RootFs> {
  const { id, rootfs, rootfsMounts, snapshotKey, snapshotter = DEFAULT_SNAPSHOTTER } = options;
  if (rootfs !== undefined) return { directory: resolve(rootfs) };
  if (rootfsMounts !== undefined) return { mounts: rootfsMounts };
  if (image === undefined) return snapshotKey === undefined ? {} : { snapshotKey, snapshotter };
  const parent = await images.unpack(image, { snapshotter, platform: options.platform, signal });
  const key = snapshotKey ?? id;
  await change(undo, signal, {
    make: (own) => services.snapshots.Prepare({ snapshotter, key, parent }, { signal: own, lease }),
    back: () => services.snapshots.Remove({ snapshotter, key }),
  });
  return { snapshotKey: key, snapshotter, own: true };
}

/** Undefined when there are none to be. */
async function volumesFor(
  { services, volumes }: CreateContext,
  options: CreateOptions,
  rootfs: RootFs,
  config: ImageConfig | undefined,
  signal: AbortSignal | undefined,
): Promise<PreparedVolumes | undefined> {
  if (typeof options.spec === 'object') return undefined;
  const withImage: WithImage = async (work) => {
    const { snapshotter = '', snapshotKey: key = '' } = rootfs;
    return withMountsApart((await services.snapshots.Mounts({ snapshotter, key }, { signal })).mounts, work);
  };
  // Of files that others may be changing nothing is copied.
  return prepareVolumes({
    services,
    volumes,
    options,
    config,
    withImage: rootfs.own === true ? withImage : undefined,
    signal,
  });
}

function withMounts(options: CreateOptions, mounts: readonly SpecMount[] = []): CreateOptions {
  return mounts.length === 0 ? options : { ...options, mounts: [...mounts, ...(options.mounts ?? [])] };
}

function optionsOf({ id, options, cgroupDriver: driver }: CreateOptions): Any | undefined {
  if (options !== undefined) {
    if (driver !== undefined)
      throw invalid(`container ${id}: give cgroupDriver or options, which say it too, by systemdCgroup`);
    return packOptions(options);
  }
  return driver === 'systemd' ? packOptions({ systemdCgroup: true }) : undefined;
}

interface SpecSources {
  readonly rootfs: RootFs;
  readonly config: ImageConfig | undefined;
  readonly runtimeOptions: Any | undefined;
  readonly signal: AbortSignal | undefined;
}

async function specOf(
  { services, namespace }: CreateContext,
  options: CreateOptions,
  network: NetworkPlan | undefined,
  { rootfs, config, runtimeOptions, signal }: SpecSources,
): Promise<Spec> {
  if (typeof options.spec === 'object') return options.spec;
  const withRoot: WithRoot = async (look, optional = false) => {
    if (rootfs.directory !== undefined) return look(rootfs.directory);
    const { snapshotKey: key, snapshotter = '' } = rootfs;
    const mounts =
      rootfs.mounts ??
      (key === undefined ? [] : (await services.snapshots.Mounts({ snapshotter, key }, { signal })).mounts);
    if (mounts.length === 0) return look(undefined);
    let mounted = false;
    try {
      return await withMountsApart(mounts, (dir) => {
        mounted = true;
        return Promise.resolve(look(dir));
      });
    } catch (error) {
      // Not root, or mounts that only the shim can do.
      if (optional && !mounted) return look(undefined);
      throw error;
    }
  };
  const { id, cgroupsPath, runtime = DEFAULT_RUNTIME } = options;
  const driver =
    options.cgroupDriver ??
    (cgroupsPath === undefined ? await cgroupDriver(services, runtime, runtimeOptions, signal) : undefined);
  const spec = await makeSpec({
    id,
    namespace,
    options: { ...options, network: undefined, ...network?.options },
    cgroupDriver: driver,
    rootfs: rootfs.directory,
    config,
    withRoot,
  });
  network?.finish(spec);
  const cdiNames = options.devices?.filter(isCdiName) ?? [];
  const equipped = cdiNames.length === 0 ? spec : await withCdiDevices(spec, cdiNames, options.cdiSpecDirs);
  const joined = options.pidOf === undefined ? equipped : joinedSpec(equipped);
  return options.spec?.(joined) ?? joined;
}

/** What few containers need is loaded for them alone. */
async function withCdiDevices(spec: Spec, names: readonly string[], directories?: readonly string[]): Promise<Spec> {
  const { injectCdiDevices } = await import('./cdi/inject.js');
  return injectCdiDevices(spec, names, directories);
}

function invalid(text: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`);
}
