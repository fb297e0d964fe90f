/** Names of images in archives and in daemons. */

export const IMAGE_NAME = 'io.containerd.image.name';
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** A name as Docker's archives have it, in full: `busybox` is `docker.io/library/busybox:latest`. */
export function normalize(name: string): string {
  const at = name.indexOf('/');
  const host = at === -1 ? '' : name.slice(0, at);
  const hasHost = host.includes('.') || host.includes(':') || host === 'localhost';
  const full = hasHost ? name : `docker.io/${at === -1 ? 'library/' : ''}${name}`;
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
