/** Takes away images that nobody uses, and what pulls have left. */
import type { Services } from '../grpc/services.js';
import type { CallOptions } from '../types/calls.js';
import { forgetKept } from './lease.js';
import { imageOf } from './put.js';
import type { Image, Pruned } from './types.js';

/** @param accepts of those that are not used; else all that are known by a digest alone */
export async function pruneImages(
  services: Services,
  accepts: (image: Image) => boolean | Promise<boolean>,
  options: CallOptions,
): Promise<Pruned> {
  const before = await contentSize(services, options);
  const { containers } = await services.containers.List({}, options);
  const used = new Set(containers.map(({ image }) => image ?? ''));
  const images: Image[] = [];
  for (const image of (await services.images.List({}, options)).images.map(imageOf))
    if (!used.has(image.name) && (await accepts(image))) images.push(image);
  for (const { name } of images) await services.images.Delete({ name, sync: true }, options);
  await forgetKept(services);
  return {
    images: images.map(({ name }) => name),
    bytes: Math.max(0, before - (await contentSize(services, options))),
  };
}

export function isTagged({ name }: Image): boolean {
  return !/@sha256:[0-9a-f]{64}$/.test(name) && !/^sha256:[0-9a-f]{64}$/.test(name);
}

async function contentSize({ content }: Services, options: CallOptions): Promise<number> {
  let sum = 0;
  for await (const { info } of content.List({}, options))
    sum = info.reduce((total, { size }) => total + Number(size), sum);
  return sum;
}
