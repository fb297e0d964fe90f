/** Labels of blobs that lead the daemon's collector from an image to all that belongs to it, and that say where a blob is from. */
import type { Index, Manifest } from '../../oci/image.js';

const REFERENCE = 'containerd.io/gc.ref.content';
const SOURCE = 'containerd.io/distribution.source';

/** Of a manifest: it keeps its configuration and its layers. */
export function manifestLabels({ config, layers }: Manifest): Record<string, string> {
  return Object.fromEntries([
    [`${REFERENCE}.config`, config.digest],
    ...layers.map(({ digest }, n) => [`${REFERENCE}.l.${n}`, digest]),
  ] as [string, string][]);
}

/** Of an index: it keeps its manifests, also those that come later. */
export function indexLabels({ manifests }: Index): Record<string, string> {
  return Object.fromEntries(manifests.map(({ digest }, n) => [`${REFERENCE}.m.${n}`, digest]));
}

/** The label for blobs of a registry, which has the repositories that a blob is known to be in. */
export function sourceLabel(domain: string): string {
  return `${SOURCE}.${domain}`;
}

/** Such a label's value with one more repository, as containerd writes it. */
export function withSource(value: string | undefined, path: string): string {
  return [...new Set([...(value ?? '').split(','), path])].filter(Boolean).sort().join(',');
}
