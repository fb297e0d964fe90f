import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { DEFAULT_RUNTIME } from './runtime/registry.js';

/**
 * Our shim: the one that was built or installed with this daemon. Without one it is whatever the runtime's name leads to.
 *
 * @param here the directory of the daemon's code: `src/daemon`, `dist` (in a package from npm with the programs in `npm`), or
 *   `PREFIX/lib/hawser`, which has the shim in its own `bin` (and earlier in that of PREFIX)
 */
export function ownShim(here: string): string {
  const candidates = ['bin', '../bin', '../npm', '../../bin'].map((bin) =>
    resolve(here, bin, 'containerd-shim-runc-v2'),
  );
  return candidates.find((path) => existsSync(path)) ?? DEFAULT_RUNTIME;
}
