/** Makes an image of what a container has changed, as `docker commit` does. */
import { commandBelowInit } from '../../oci/init-program.js';
import {
  isIndex,
  isManifest,
  MediaType,
  ownPlatform,
  UNCOMPRESSED,
  type Descriptor,
  type Index,
  type Manifest,
} from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { throwIfAborted } from '../abort.js';
import { FailedPreconditionError, NotFoundError } from '../errors.js';
import { withSides } from '../files/parent.js';
import type { Asking } from '../files/layers.js';
import { parseReference } from '../registry/reference.js';
import { DEFAULT_PATH } from '../spec/defaults.js';
import type { ContainerRecord } from '../types/container.js';
import { composeImage, EMPTY_LAYER, namelessOf, type Step } from './compose.js';
import { readJson, type Scope } from './content.js';
import { applyChanges, type Draft } from './instructions.js';
import { putImage } from './put.js';
import type { CommitOptions, Image } from './types.js';
import { chainOf, unpackLayers } from './unpack.js';

const STOP_SIGNAL = 'io.containerd.image.config.stop-signal';
/** Labels that say something to programs about the container, not to people. */
const OWN_LABELS = /^(?:io\.hawser|nerdctl|containerd\.io|io\.containerd|io\.cri-containerd)[./]/;
/** What the runtime, or whoever has made the container, puts into an environment. */
const GIVEN = new Set(['HOSTNAME', 'TERM', 'HOME']);

/** An image's configuration, as it is stored. */
interface Whole {
  readonly os?: string;
  readonly architecture?: string;
  readonly variant?: string;
  readonly config?: Draft;
  readonly rootfs?: { readonly diff_ids?: string[] };
  readonly history?: readonly Step[];
}

interface Base {
  readonly manifest: Manifest;
  readonly config: Whole;
}

/** @param still runs something while nothing of the container's does */
export async function commitContainer(
  asking: Asking,
  { name, author, message, changes = [] }: CommitOptions,
  still: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<Image> {
  const { record } = asking;
  const reference = name === undefined ? undefined : parseReference(name);
  return withSides(asking, async ({ parent, before, after }, scope) => {
    const { services, signal, lease } = scope;
    const base = await baseOf(scope, record, parent);
    const config = draftOf(record, base.config.config ?? {});
    const ran = commandBelowInit(record.spec.process?.args ?? []).join(' ');
    applyChanges(config, changes);
    const { diff } = await still(() =>
      services.diff.Diff({ left: [...before], right: [...after], mediaType: MediaType.GzipLayer }, { signal, lease }),
    );
    throwIfAborted(signal);
    const layer = await layerOf(scope, {
      mediaType: diff?.mediaType ?? MediaType.GzipLayer,
      digest: diff?.digest ?? '',
      size: Number(diff?.size ?? 0),
    });
    const empty = layer.diffId === EMPTY_LAYER;
    const created = new Date().toISOString();
    const step: Step = {
      created,
      created_by: ran,
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { comment: message }),
      ...(empty ? { empty_layer: true } : {}),
    };
    const { os, architecture, variant } = base.config;
    const whole = {
      created,
      ...(author === undefined ? {} : { author }),
      architecture: architecture ?? ownPlatform().architecture,
      os: os ?? 'linux',
      ...(variant ? { variant } : {}),
      config,
      rootfs: { type: 'layers', diff_ids: [...(base.config.rootfs?.diff_ids ?? []), ...(empty ? [] : [layer.diffId])] },
      history: [...(base.config.history ?? []), step],
    };
    const docker = base.manifest.config.mediaType === MediaType.DockerConfig;
    const top = {
      ...layer.descriptor,
      mediaType: docker ? `${MediaType.DockerLayer}.gzip` : layer.descriptor.mediaType,
    };
    const layers = [...base.manifest.layers, ...(empty ? [] : [top])];
    const { manifest, target } = await composeImage(scope, whole, layers, docker);
    await unpackLayers(scope, manifest, { snapshotter: record.snapshotter });
    return putImage(scope, reference?.name ?? namelessOf(target), target);
  });
}

async function layerOf(
  { services, signal }: Scope,
  descriptor: Descriptor,
): Promise<{ readonly descriptor: Descriptor; readonly diffId: string }> {
  const { info } = await services.content.Info({ digest: descriptor.digest }, { signal });
  return { descriptor, diffId: info?.labels?.[UNCOMPRESSED] ?? descriptor.digest };
}

/** The image that its snapshot was made on: its name may stand for another one by now. */
async function baseOf(scope: Scope, record: ContainerRecord, parent: string): Promise<Base> {
  if (parent === '') return { manifest: { config: { mediaType: '', digest: '', size: 0 }, layers: [] }, config: {} };
  const { services, signal } = scope;
  const { images } = await services.images.List({}, { signal });
  const named = (one: (typeof images)[number]): number => Number(one.name !== record.image);
  for (const { target } of images.sort((a, b) => named(a) - named(b))) {
    const descriptor = { mediaType: target?.mediaType ?? '', digest: target?.digest ?? '', size: 0 };
    const found = await withTop(scope, descriptor, parent);
    if (found !== undefined) return found;
  }
  throw new FailedPreconditionError(
    Code.FailedPrecondition,
    `container ${record.id}: the image that it was made of (${record.image || 'of no name'}) is not here any more: get it again, for what it says of itself: failed precondition`,
  );
}

async function withTop(scope: Scope, target: Descriptor, parent: string): Promise<Base | undefined> {
  try {
    if (isIndex(target)) {
      for (const one of (await readJson<Index>(scope, target.digest)).manifests) {
        const found = await withTop(scope, one, parent);
        if (found !== undefined) return found;
      }
    }
    if (!isManifest(target)) return undefined;
    const manifest = await readJson<Manifest>(scope, target.digest);
    const config = await readJson<Whole>(scope, manifest.config.digest);
    return chainOf(config.rootfs?.diff_ids ?? []).at(-1) === parent ? { manifest, config } : undefined;
  } catch (error) {
    // An index names what is for other machines, too.
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** The image's configuration, with what was said otherwise for the container. */
function draftOf({ spec, labels }: ContainerRecord, base: Draft): Draft {
  const { args = [], env = [], cwd = '/', user } = spec.process ?? {};
  const own = Object.entries(labels).filter(([name]) => !OWN_LABELS.test(name));
  const stopSignal = labels[STOP_SIGNAL];
  return {
    ...base,
    ...commandOf(commandBelowInit(args), base),
    Env: environmentOf(env, base.Env ?? []),
    ...(cwd === (base.WorkingDir ?? '/') ? {} : { WorkingDir: cwd }),
    ...userOf(user ?? { uid: 0, gid: 0 }, base.User ?? ''),
    ...(own.length === 0 ? {} : { Labels: { ...base.Labels, ...Object.fromEntries(own) } }),
    ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
  };
}

function commandOf(args: readonly string[], { Entrypoint = [], Cmd = [] }: Draft): Draft {
  const begins = (words: readonly string[] | null): boolean => (words ?? []).every((word, n) => args[n] === word);
  const entrypoint = Entrypoint ?? [];
  if (
    args.length === 0 ||
    (begins([...entrypoint, ...(Cmd ?? [])]) && args.length === entrypoint.length + (Cmd ?? []).length)
  )
    return {};
  if (begins(entrypoint)) return { Cmd: args.slice(entrypoint.length) };
  return { Entrypoint: args.slice(0, 1), Cmd: args.slice(1) };
}

function environmentOf(env: readonly string[], base: readonly string[] | null): string[] {
  const names = new Set((base ?? []).map((setting) => setting.split('=', 1)[0]!));
  return env.filter((setting) => {
    const name = setting.split('=', 1)[0]!;
    return names.has(name) || (!GIVEN.has(name) && setting !== DEFAULT_PATH);
  });
}

/** A name that the image has stays: what it was resolved to need not hold elsewhere. */
function userOf({ uid, gid }: { readonly uid: number; readonly gid: number }, base: string): Draft {
  const [name = '', group = ''] = base.split(':');
  if (!/^\d*$/.test(name) || !/^\d*$/.test(group)) return {};
  const same = uid === Number(name) && (group === '' || gid === Number(group));
  return same ? {} : { User: `${uid}:${gid}` };
}
