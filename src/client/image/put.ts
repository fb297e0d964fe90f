/** Names of images, as the daemon keeps them. */
import { millis, type containerd } from '../../api/full.js';
import type { Descriptor } from '../../oci/image.js';
import { AlreadyExistsError } from '../errors.js';
import type { Scope } from './content.js';
import type { Image } from './types.js';

/** Has a name stand for an image from now on. */
export async function putImage(
  { services, signal, lease }: Scope,
  name: string,
  { mediaType, digest, size }: Descriptor,
): Promise<Image> {
  const image = { name, target: { mediaType, digest, size } };
  try {
    return imageOf((await services.images.Create({ image }, { signal, lease })).image ?? image);
  } catch (error) {
    if (!(error instanceof AlreadyExistsError)) throw error;
  }
  return imageOf(
    (await services.images.Update({ image, updateMask: { paths: ['target'] } }, { signal, lease })).image ?? image,
  );
}

export function imageOf({
  name,
  labels,
  target,
  createdAt,
  updatedAt,
}: containerd.services.images.v1.Image.$Properties): Image {
  return {
    name: name ?? '',
    labels: { ...labels },
    target: { mediaType: target?.mediaType ?? '', digest: target?.digest ?? '', size: Number(target?.size ?? 0) },
    createdAt: new Date(millis(createdAt) ?? 0),
    updatedAt: new Date(millis(updatedAt) ?? 0),
  };
}
