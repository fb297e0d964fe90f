/** Takes away images that nobody uses, and what pulls have left. */
import type { containerd } from '../../api/full.js';
import type { Services } from '../grpc/services.js';
import type { CallOptions } from '../types/calls.js';
import { forgetKept } from './lease.js';
import type { Pruned } from './types.js';

/** @param all those with a tag, too; else only those that are known by a digest alone */
export async function pruneImages(services: Services, all: boolean, options: CallOptions): Promise<Pruned> {
  const before = await contentSize(services, options);
  const { containers } = await services.containers.List({}, options);
  const used = new Set(containers.map(({ image }) => image ?? ''));
  const images = (await services.images.List({}, options)).images.filter(
    (image) => !used.has(image.name ?? '') && (all || !isTagged(image)),
  );
  for (const { name } of images) await services.images.Delete({ name: name ?? '', sync: true }, options);
  await forgetKept(services);
  return {
    images: images.map(({ name }) => name ?? ''),
    bytes: Math.max(0, before - (await contentSize(services, options))),
  };
}

function isTagged({ name = '' }: containerd.services.images.v1.Image.$Properties): boolean {
  return !/@sha256:[0-9a-f]{64}$/.test(name ?? '') && !/^sha256:[0-9a-f]{64}$/.test(name ?? '');
}

async function contentSize({ content }: Services, options: CallOptions): Promise<number> {
  let sum = 0;
  for await (const { info } of content.List({}, options))
    sum = info.reduce((total, { size }) => total + Number(size), sum);
  return sum;
}
