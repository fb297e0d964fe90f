/**
 * Pulls, as containerd's client does them by its API, of images that share layers, with removals of images and of snapshots, and
 * collections, all at once. Whatever has a name in the end must be whole: every blob readable, every layer's files there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AlreadyExistsError, NotFoundError } from '../../src/client/errors.js';
import { Connection } from '../../src/client/grpc/connection.js';
import type { Services } from '../../src/client/grpc/services.js';
import { putBlob } from '../../src/client/image/content.js';

const OVERLAY = 'overlayfs';
const TARGET = 'containerd.io/snapshot.ref';
const KINDS = 6;
const LAYERS = 4;

export interface ChurnOptions {
  readonly socket: string;
  /** Ends when so many snapshots were made. */
  readonly snapshots: number;
  /** Pulls at once. */
  readonly pullers?: number;
  readonly pausesMs?: number;
}

export interface Churned {
  snapshots: number;
  pulls: number;
  /** Images removed while others were pulled. */
  removed: number;
  collections: number;
  /** Images that are not whole in the end, or snapshots without files, each with what is missing. */
  lost: string[];
  /** Calls that failed and should not. */
  failed: string[];
}

/** Layers of a kind of image: its lower ones are also those of the others. */
const layersOf = (kind: number): string[] =>
  Array.from({ length: LAYERS }, (_, n) =>
    n < LAYERS - 1 ? `shared layer ${Math.min(kind % 2, n)}-${n}` : `layer of ${kind}`,
  );

const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Runs it against a daemon that has the overlayfs snapshotter. */
export async function churn({ socket, snapshots, pullers = 6, pausesMs = 0 }: ChurnOptions): Promise<Churned> {
  const connection = new Connection(socket);
  const services = connection.services('churn');
  const result: Churned = { snapshots: 0, pulls: 0, removed: 0, collections: 0, lost: [], failed: [] };
  const kept = new Map<string, string>();
  const isOver = (): boolean => result.snapshots >= snapshots;
  const forever = async (work: () => Promise<void>): Promise<void> => {
    while (!isOver()) {
      try {
        await work();
      } catch (error) {
        result.failed.push((error as Error).message);
        // What fails at once, and always, must not go on for ever.
        if (result.failed.length > 20) throw error;
      }
    }
  };
  let images = 0;
  const pulling = (): Promise<void> =>
    forever(async () => {
      const n = images++;
      const name = `image-${n}`;
      await pull(services, name, n % KINDS, result);
      // Of each kind one stays away for most of the time, so that its layers go and come.
      if (n % 3 !== 0) {
        await services.images.Delete({ name, sync: n % 9 === 1 });
        result.removed++;
      }
    });
  const keeping = (): Promise<void> =>
    forever(async () => {
      const key = `keep-${randomBytes(6).toString('hex')}`;
      const { mounts } = await services.snapshots.Prepare({
        snapshotter: OVERLAY,
        key,
        labels: { 'containerd.io/gc.root': 'now' },
      });
      result.snapshots++;
      kept.set(key, directoryOf(mounts[0]!));
    });
  const littering = (): Promise<void> =>
    forever(async () => {
      const keys = Array.from({ length: 10 }, () => `junk-${randomBytes(6).toString('hex')}`);
      await Promise.all(keys.map((key) => services.snapshots.Prepare({ snapshotter: OVERLAY, key })));
      result.snapshots += keys.length;
      // Of those that no lease keeps some are collected by then.
      await tolerate(services.snapshots.Remove({ snapshotter: OVERLAY, key: keys[0]! }), NotFoundError);
      await delay(pausesMs);
    });
  const collecting = (): Promise<void> =>
    forever(async () => {
      const id = `collect-${randomBytes(6).toString('hex')}`;
      await services.leases.Create({ id });
      await services.leases.Delete({ id, sync: true });
      result.collections++;
      await delay(pausesMs);
    });
  try {
    await Promise.all([...Array.from({ length: pullers }, pulling), keeping(), keeping(), littering(), collecting()]);
    const id = 'last';
    await services.leases.Create({ id });
    await services.leases.Delete({ id, sync: true });
    for (const [key, dir] of kept) if (!existsSync(dir)) result.lost.push(`${key}: ${dir}`);
    for (const image of (await services.images.List({})).images)
      await check(services, image.name ?? '', image.target?.digest ?? '', result.lost);
    return result;
  } finally {
    connection.close();
  }
}

/** As client/pull.go and unpack do it: a lease, blobs, layers upon each other, labels, and in the end the name. */
async function pull(services: Services, name: string, kind: number, result: Churned): Promise<void> {
  const lease = `pull-${name}`;
  await services.leases.Create({
    id: lease,
    labels: { 'containerd.io/gc.expire': new Date(Date.now() + 3600_000).toISOString() },
  });
  const put = (text: string, labels: Record<string, string> = {}) =>
    putBlob({ services, signal: undefined, lease }, [Buffer.from(text)], { labels });
  const layers = layersOf(kind);
  const blobs = await Promise.all(layers.map((layer) => put(layer)));
  let parent = '';
  for (const layer of layers) parent = await unpack(services, layer, parent, lease, result);
  const config = await put(JSON.stringify({ layers, kind }), { [`containerd.io/gc.ref.snapshot.${OVERLAY}`]: parent });
  // It may have been there, without the label.
  await services.content.Update(
    {
      info: { digest: config.digest, labels: { [`containerd.io/gc.ref.snapshot.${OVERLAY}`]: parent } },
      updateMask: { paths: [`labels.containerd.io/gc.ref.snapshot.${OVERLAY}`] },
    },
    { lease },
  );
  const manifest = await put(
    JSON.stringify({ config: config.digest, blobs: blobs.map(({ digest }) => digest), chain: parent }),
    Object.fromEntries([config, ...blobs].map(({ digest }, n) => [`containerd.io/gc.ref.content.${n}`, digest])),
  );
  await services.images.Create({
    image: {
      name,
      target: { mediaType: 'application/vnd.example.manifest', digest: manifest.digest, size: manifest.size },
    },
  });
  result.pulls++;
  await services.leases.Delete({ id: lease });
}

async function unpack(
  services: Services,
  layer: string,
  parent: string,
  lease: string,
  result: Churned,
): Promise<string> {
  const chain = sha(`${parent} ${layer}`);
  const labels = { [TARGET]: chain };
  const key = `extract-${randomBytes(6).toString('hex')} ${chain}`;
  try {
    const { mounts } = await services.snapshots.Prepare({ snapshotter: OVERLAY, key, parent, labels }, { lease });
    result.snapshots++;
    writeFileSync(join(directoryOf(mounts[0]!), 'layer'), layer);
  } catch (error) {
    if (error instanceof AlreadyExistsError) return chain;
    throw error;
  }
  try {
    await services.snapshots.Commit({ snapshotter: OVERLAY, name: chain, key, labels }, { lease });
  } catch (error) {
    if (!(error instanceof AlreadyExistsError)) throw error;
    await services.snapshots.Remove({ snapshotter: OVERLAY, key }, { lease });
    // As containerd does not have the lease keep one that is committed already: asked again, it does.
    return unpack(services, layer, parent, lease, result);
  }
  return chain;
}

async function check(services: Services, name: string, digest: string, lost: string[]): Promise<void> {
  try {
    const { config, blobs, chain } = JSON.parse(await read(services, digest)) as {
      config: string;
      blobs: string[];
      chain: string;
    };
    const { layers } = JSON.parse(await read(services, config)) as { layers: string[] };
    for (const [n, blob] of blobs.entries())
      if ((await read(services, blob)) !== layers[n]) lost.push(`${name}: blob ${n} is another`);
    const key = `view ${name}`;
    // The daemon's own collections go on, and nothing else keeps it.
    const { mounts } = await services.snapshots.View({
      snapshotter: OVERLAY,
      key,
      parent: chain,
      labels: { 'containerd.io/gc.root': 'now' },
    });
    const [mount] = mounts;
    const lower = mount!
      .options!.find((option) => option.startsWith('lowerdir='))!
      .slice('lowerdir='.length)
      .split(':')
      .reverse();
    for (const [n, dir] of lower.entries())
      if (!existsSync(join(dir, 'layer')) || readFileSync(join(dir, 'layer'), 'utf8') !== layers[n])
        lost.push(`${name}: layer ${n} has no files`);
    await services.snapshots.Remove({ snapshotter: OVERLAY, key });
  } catch (error) {
    lost.push(`${name}: ${(error as Error).message}`);
  }
}

async function read(services: Services, digest: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of services.content.Read({ digest, offset: 0, size: 0 })) chunks.push(data);
  return Buffer.concat(chunks).toString();
}

/** Where files of an active snapshot lie. */
function directoryOf({ source = '', options }: { source?: string | null; options?: string[] | null }): string {
  return source?.startsWith('/')
    ? source
    : options!.find((option) => option.startsWith('upperdir='))!.slice('upperdir='.length);
}

async function tolerate(work: Promise<unknown>, kind: new (...args: never[]) => Error): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof kind)) throw error;
  });
}
