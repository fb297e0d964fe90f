/** Names of images in archives and in the daemon. */
import type { containerd } from '../../api/full.js';
import type { Descriptor } from './oci.js';

type Reference = containerd.types.transfer.ImageReference.$Properties;

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

/** Names for one image of an archive, by the references that the client asks for. */
export function namesFor(image: Descriptor, references: readonly Reference[]): string[] {
  return references.filter(({ isPrefix }) => isPrefix).flatMap((reference) => {
    const prefix = reference.name ?? '';
    const found = annotated(image, prefix, reference.allowOverwrite ?? false);
    const digested = `${prefix}@${image.digest}`;
    if (found === undefined) return reference.addDigest ? [digested] : [];
    return reference.addDigest && !reference.skipNamedDigest ? [found, digested] : [found];
  });
}

function annotated({ annotations = {} }: Descriptor, prefix: string, anyName: boolean): string | undefined {
  const complete = (name: string): string | undefined => {
    if (prefix === '') return undefined;
    if (!/[/:@]/.test(name)) return `${prefix}:${name}`;
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    return anyName || (rest !== undefined && (rest === '' || /^[/:@]/.test(rest))) ? name : undefined;
  };
  const full = annotations[IMAGE_NAME];
  // A full name is taken as it is, or not at all.
  if (full) return complete(full) === full ? full : undefined;
  const tag = annotations[REF_NAME];
  return tag ? complete(tag) : undefined;
}
