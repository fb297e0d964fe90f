/** Capabilities that cannot be given are left out. */
import type { Spec } from '../../client/index.js';
import { boundCapabilities } from '../../oci/capabilities.js';

/** Takes from a spec what cannot be given. */
export function withinBounds(spec: Spec): void {
  const possible = new Set(boundCapabilities());
  const { process } = spec;
  if (!process?.capabilities) return;
  process.capabilities = Object.fromEntries(
    Object.entries(process.capabilities).map(([set, names]) => [set, names.filter((name) => possible.has(name))]),
  );
}
