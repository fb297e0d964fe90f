/** The volumes of a container that is being made: found, made, filled, mounted. */
import { lstatSync, readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { copyTree } from '../../oci/copy-tree.js';
import { Code } from '../../ttrpc/status.js';
import { throwIfAborted } from '../abort.js';
import { InvalidArgumentError } from '../errors.js';
import type { ImageConfig } from '../image/types.js';
import { recordOf } from '../record.js';
import { resolveInRoot } from '../spec/in-root.js';
import type { Services } from '../grpc/services.js';
import type { SpecMount } from '../spec/types.js';
import type { CreateOptions } from '../types/container.js';
import type { Fill, HeldStore } from './held.js';
import { ANONYMOUS_VOLUMES, mountPointOf, mountPointsOf, mountsLabel } from './mount-points.js';
import { ANONYMOUS } from './store.js';
import type { VolumeMount } from './types.js';
import { volumesOf } from './uses.js';
import { newName, type ClientVolumes } from './volumes.js';

export interface PreparedVolumes {
  readonly mounts: readonly SpecMount[];
  readonly labels: Readonly<Record<string, string>>;
  /** There is a container that has them. */
  keep(): Promise<void>;
  /** There will be none: what was made for it is removed. */
  abandon(): Promise<void>;
}

/** Does something with the image's files at a directory. */
export type WithImage = <R>(work: (root: string) => Promise<R>) => Promise<R>;

interface Preparing {
  readonly services: Services;
  readonly volumes: ClientVolumes;
  readonly options: CreateOptions;
  readonly config: ImageConfig | undefined;
  /** Undefined when the container's files are no image's. */
  readonly withImage: WithImage | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Nobody else changes volumes of the namespace until it is known what becomes of the container, so that none of its volumes can be
 * removed before there is a container that has it.
 */
export async function prepareVolumes(preparing: Preparing): Promise<PreparedVolumes> {
  const { volumes, options, signal } = preparing;
  const binds = (options.mounts ?? []).map((mount) => mountPointOf(mount));
  const borrowed = await borrowedMounts(preparing);
  const wanted = wantedVolumes(preparing, borrowed);
  const none = { mounts: borrowed, keep: () => Promise.resolve(), abandon: () => Promise.resolve() };
  if (wanted.length === 0 && !borrowed.some(({ source = '' }) => volumes.store.nameOf(source) !== undefined))
    return { ...none, labels: mountsLabel([...borrowed.map((mount) => mountPointOf(mount)), ...binds]) };
  for (const { name } of wanted) if (name !== undefined) volumes.store.check(name);
  const held = await volumes.acquire(signal);
  try {
    for (const { source = '' } of borrowed) {
      const name = volumes.store.nameOf(source);
      if (name !== undefined) volumes.store.get(name);
    }
    const made: { name: string; mount: SpecMount; anonymous: boolean }[] = [];
    for (const one of wanted) {
      const name = one.name ?? newName();
      await provide(preparing, held, { ...one, name }, one.name === undefined);
      made.push({ name, mount: mountOf(volumes, name, one), anonymous: one.name === undefined });
    }
    const anonymous = made.filter((one) => one.anonymous).map(({ name }) => name);
    return {
      mounts: [...borrowed, ...made.map(({ mount }) => mount)],
      labels: {
        ...mountsLabel([
          ...made.map(({ name, mount }) => mountPointOf(mount, name)),
          ...borrowed.map((mount) => mountPointOf(mount, volumes.store.nameOf(mount.source ?? ''))),
          ...binds,
        ]),
        ...(anonymous.length === 0 ? {} : { [ANONYMOUS_VOLUMES]: JSON.stringify(anonymous) }),
      },
      keep: () => held.release(),
      abandon: () => giveUp(held),
    };
  } catch (error) {
    await giveUp(held);
    throw error;
  }
}

/** What was made by whoever has the lock can be nobody else's. */
async function giveUp(held: HeldStore): Promise<void> {
  try {
    await held.removeUnused(new Map());
  } finally {
    await held.release();
  }
}

async function provide(
  { volumes: { store }, withImage, signal }: Preparing,
  held: HeldStore,
  { name, destination, copy = true, labels = {} }: VolumeMount & { readonly name: string },
  anonymous: boolean,
): Promise<void> {
  const found = store.find(name);
  const wanted = copy && (found === undefined || readdirSync(found.mountpoint).length === 0);
  const use = async (root: string | undefined): Promise<void> => {
    const source = root === undefined ? undefined : directoryInRoot(root, destination);
    const fill: Fill | undefined =
      source === undefined ? undefined : (to) => copyTree(source, to, () => throwIfAborted(signal));
    if (found === undefined) await held.make(name, anonymous ? { ...labels, [ANONYMOUS]: '' } : labels, fill);
    else if (fill !== undefined) await held.fill(name, fill);
  };
  await (wanted && withImage !== undefined ? withImage(use) : use(undefined));
}

/** What is there may be a link, or no directory. */
function directoryInRoot(root: string, path: string): string | undefined {
  const found = resolveInRoot(root, path);
  return found !== undefined && lstatSync(found).isDirectory() ? found : undefined;
}

function mountOf({ store }: ClientVolumes, name: string, { destination, readOnly = false }: VolumeMount): SpecMount {
  return {
    type: 'bind',
    source: store.data(name),
    destination,
    options: ['rbind', 'rprivate', ...(readOnly ? ['ro'] : [])],
  };
}

/** Those that are asked for, and the image's, where nothing else is mounted. */
function wantedVolumes({ options, config }: Preparing, borrowed: readonly SpecMount[]): readonly VolumeMount[] {
  const explicit = options.volumes ?? [];
  const taken = new Set(
    [...explicit, ...borrowed, ...(options.mounts ?? [])].map(({ destination }) => clean(destination)),
  );
  const images = options.imageVolumes === false ? [] : Object.keys(config?.Volumes ?? {}).map(clean);
  for (const path of images)
    if (['/', '/proc', '/sys', '/dev'].includes(path))
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `the image has a volume at ${path}, where none can be: give imageVolumes: false: invalid argument`,
      );
  return [
    ...explicit,
    ...[...new Set(images)].filter((path) => !taken.has(path)).map((destination) => ({ destination })),
  ];
}

/** Volumes and bind mounts of other containers. What is asked for itself comes before them, and the last container before the first. */
async function borrowedMounts({ services, volumes, options, signal }: Preparing): Promise<SpecMount[]> {
  const own = new Set(
    [...(options.volumes ?? []), ...(options.mounts ?? [])].map(({ destination }) => clean(destination)),
  );
  const found = new Map<string, SpecMount>();
  for (const { container, readOnly = false } of options.volumesFrom ?? []) {
    const record = recordOf((await services.containers.Get({ id: container }, { signal })).container ?? {});
    const names = new Set(volumesOf(volumes.store, record));
    const written = new Set(mountPointsOf(record.labels).map(({ Destination }) => clean(Destination)));
    for (const mount of record.spec.mounts ?? []) {
      const { type, source = '', destination, options: words = [] } = mount;
      const isVolume = names.has(volumes.store.nameOf(source) ?? '');
      const isBind =
        (type === 'bind' || words.includes('rbind') || words.includes('bind')) && written.has(clean(destination));
      if ((!isVolume && !isBind) || own.has(clean(destination))) continue;
      found.set(clean(destination), {
        ...mount,
        type: 'bind',
        options: readOnly && !words.includes('ro') ? [...words, 'ro'] : [...words],
      });
    }
  }
  return [...found.values()];
}

/** A destination as it is compared: `/data/` is `/data`. */
export function clean(destination: string): string {
  return normalize(join('/', destination)).replace(/(?<=.)\/$/, '');
}
