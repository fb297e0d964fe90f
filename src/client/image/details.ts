/** All that an image says of itself. */
import type { Config, Manifest } from '../../oci/image.js';
import { readJson, type Scope } from './content.js';
import type { Image, ImageConfig, ImageDetails } from './types.js';

interface WholeConfig extends Config {
  readonly created?: string;
  readonly author?: string;
  readonly config?: ImageConfig;
}

export async function detailsOf(
  scope: Pick<Scope, 'services' | 'signal'>,
  image: Image,
  manifest: Manifest,
): Promise<ImageDetails> {
  const { created, author, os, architecture, variant, config, rootfs } = await readJson<WholeConfig>(
    scope,
    manifest.config.digest,
  );
  const date = new Date(created ?? NaN);
  return {
    image,
    created: Number.isNaN(date.getTime()) ? undefined : date,
    author: author ?? '',
    os: os ?? '',
    architecture: architecture ?? '',
    variant: variant ?? '',
    config: config ?? {},
    configDigest: manifest.config.digest,
    layers: rootfs?.diff_ids ?? [],
    size: [manifest.config, ...manifest.layers].reduce((sum, { size }) => sum + size, 0),
  };
}
