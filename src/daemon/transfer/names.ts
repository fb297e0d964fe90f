/** Names of images in archives and in the daemon. */
import type { containerd } from '../../api/full.js';
import { IMAGE_NAME, REF_NAME } from '../../oci/image-name.js';
import type { Descriptor } from './oci.js';

export * from '../../oci/image-name.js';

type Reference = containerd.types.transfer.ImageReference.$Properties;

/** Names for one image of an archive, by the references that the client asks for. */
export function namesFor(image: Descriptor, references: readonly Reference[]): string[] {
  return references
    .filter(({ isPrefix }) => isPrefix)
    .flatMap((reference) => {
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
