/** Which of an image's manifests is for a machine. */
import {
  isIndex,
  isManifest,
  ownPlatform,
  suits,
  type Config,
  type Descriptor,
  type Index,
  type Manifest,
  type Platform,
} from '../../oci/image.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError, NotFoundError } from '../errors.js';
import { readJson, type Scope } from './content.js';
import type { Image } from './types.js';

const SYSTEMS = ['linux', 'windows', 'freebsd', 'darwin'];
/** Other names of architectures, as containerd takes them. */
const ALIASES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
  i686: '386',
  armhf: 'arm/v7',
  armel: 'arm/v6',
};
/** Variants that go without saying. */
const USUAL = new Set(['arm64/v8', 'amd64/v1']);

/** `linux/arm64`, `arm64`, `linux/arm/v7`. This machine's unless given. @throws InvalidArgumentError */
export function parsePlatform(text: string | undefined): Platform {
  if (text === undefined || text === '') return ownPlatform();
  const words = text.toLowerCase().split('/');
  const os = SYSTEMS.includes(words[0]!) ? words.shift()! : 'linux';
  const [architecture, variant, more] = words.flatMap((word) => (ALIASES[word] ?? word).split('/'));
  if (more !== undefined || words.some((word) => !/^[a-z0-9_.-]+$/.test(word)))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `platform ${JSON.stringify(text)} is none: give it as linux/arm64 or linux/arm/v7: invalid argument`,
    );
  return {
    os,
    architecture: architecture ?? ownPlatform().architecture!,
    ...(variant === undefined || USUAL.has(`${architecture}/${variant}`) ? {} : { variant }),
  };
}

/** As users write it. */
export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/');
}

/** The manifests of an index that may be for a platform: those that say so, or else those that say nothing. */
export function candidates({ manifests }: Index, want: Platform): Descriptor[] {
  const all = manifests.filter(isManifest);
  const said = all.filter(({ platform }) => platform !== undefined && suits(platform, want));
  return said.length > 0 ? said : all.filter(({ platform }) => platform === undefined);
}

/** An image that has nothing for a platform. */
export function nothingFor(name: string, want: Platform, has: readonly Descriptor[] = []): NotFoundError {
  const names = has.flatMap(({ platform }) =>
    platform?.os && platform.os !== 'unknown' ? [platformName(platform)] : [],
  );
  return new NotFoundError(
    Code.NotFound,
    `image ${name} has nothing for ${platformName(want)}${names.length > 0 ? `, but for ${[...new Set(names)].join(', ')}` : ''}: not found`,
  );
}

/**
 * Of an image that is for one platform only, when somebody has asked for another one.
 *
 * @throws NotFoundError
 */
export async function checkPlatform(
  scope: Pick<Scope, 'services' | 'signal'>,
  { name, target }: Pick<Image, 'name' | 'target'>,
  want: Platform,
): Promise<void> {
  if (!isManifest(target)) return;
  const manifest = await readJson<Manifest>(scope, target.digest);
  const is = await readJson<Config>(scope, manifest.config.digest);
  if (!suits(is, want)) throw nothingFor(name, want, [{ ...target, platform: is }]);
}

/** The manifest of an image for a platform, of what the daemon has; undefined when there is none. */
export async function manifestFor(
  scope: Pick<Scope, 'services' | 'signal'>,
  target: Descriptor,
  want: Platform,
): Promise<Manifest | undefined> {
  if (isManifest(target)) return readJson<Manifest>(scope, target.digest);
  if (!isIndex(target))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `${target.digest} is no image: its type is ${target.mediaType}: invalid argument`,
    );
  for (const one of candidates(await readJson<Index>(scope, target.digest), want)) {
    const manifest = await readJson<Manifest>(scope, one.digest);
    if (one.platform !== undefined || suits(await readJson<Config>(scope, manifest.config.digest), want))
      return manifest;
  }
  return undefined;
}
