/**
 * What nerdctl knows a container by, and lets others know (its pkg/labels). It writes these labels on containers of its own, and we on ours, so that
 * either has the other's names and sees which networks are in use.
 */
export const NAME = 'nerdctl/name';
export const HOSTNAME = 'nerdctl/hostname';
/** JSON of a list of names, or of one of `none`, `host` and `container:ID`. */
export const NETWORKS = 'nerdctl/networks';
/** The daemon's namespace that the container is in. */
export const NAMESPACE = 'nerdctl/namespace';
/** JSON of the ports that are published, of older releases; 2.2 keeps them in files of its own. */
export const PORTS = 'nerdctl/ports';
/**
 * For a spec's annotations. There nerdctl looks for the networks that it has to take a container out of when it stops it, and it removes none where there
 * is no such annotation. Our hooks do that.
 */
export const NO_NETWORK_OF_NERDCTL = { [NETWORKS]: '["none"]' };
/** A label of containerd's has so many bytes, its name among them. */
const MAX_LABEL = 4096;
/** An id that is nobody's choice. */
const GENERATED = /^[0-9a-f]{64}$/;

/** @param networks as {@link NETWORKS}; undefined where nothing is known of them */
export function nerdctlLabels(
  id: string,
  hostname: string | undefined,
  networks: readonly string[] | undefined,
): Record<string, string> {
  const text = JSON.stringify(networks ?? []);
  return {
    ...(GENERATED.test(id) ? {} : { [NAME]: id }),
    ...(hostname ? { [HOSTNAME]: hostname } : {}),
    ...(networks === undefined || Buffer.byteLength(NETWORKS + text) > MAX_LABEL ? {} : { [NETWORKS]: text }),
  };
}

/** The networks that a container is in, by its label: none where there is no such label, or none that can be read. */
export function networksOf(labels: Readonly<Record<string, string>>): readonly string[] {
  try {
    const value: unknown = JSON.parse(labels[NETWORKS] ?? '[]');
    return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
  } catch (error) {
    // What another program has written there is none of ours to judge.
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
