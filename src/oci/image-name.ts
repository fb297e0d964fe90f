/** Names of images in archives and in daemons. */

export const IMAGE_NAME = 'io.containerd.image.name';
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** The registry that a name means when it says none. */
export const DEFAULT_DOMAIN = 'docker.io';
const OLD_DEFAULT_DOMAIN = 'index.docker.io';

/**
 * A name as Docker's archives have it, in full: `busybox` is `docker.io/library/busybox:latest`. Nothing is checked.
 * As splitDockerDomain and TagNameOnly of the distribution project's package `reference` do it.
 */
export function normalize(name: string): string {
  const at = name.indexOf('/');
  const first = at === -1 ? '' : name.slice(0, at);
  const hasDomain = /[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first;
  const domain = !hasDomain || first === OLD_DEFAULT_DOMAIN ? DEFAULT_DOMAIN : first;
  const path = hasDomain ? name.slice(at + 1) : name;
  const full = `${domain}/${domain === DEFAULT_DOMAIN && !path.includes('/') ? 'library/' : ''}${path}`;
  return /[:@]/.test(full.slice(full.lastIndexOf('/'))) ? full : `${full}:latest`;
}

/** The tag of a full name, or else its digest, or the name. */
export function tagOf(name: string): string {
  const last = name.slice(name.lastIndexOf('/'));
  const at = last.indexOf('@');
  const colon = (at === -1 ? last : last.slice(0, at)).lastIndexOf(':');
  if (colon !== -1) return (at === -1 ? last : last.slice(0, at)).slice(colon + 1);
  return at === -1 ? name : last.slice(at + 1);
}
