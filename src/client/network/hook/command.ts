/** How the hook is called: by Node, so that it needs neither a shell nor a PATH. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath } from '../../../sys/native.js';
import type { Spec } from '../../spec/types.js';
import { precondition } from '../failure.js';
import { programPath } from '../places.js';

const PROGRAM = 'hawser-network.mjs';

/** Adds the hooks to a container's spec. @param dir its directory of states */
export function addHooks(spec: Spec, dir: string): void {
  const program = programFile();
  // The link that is installed beside it outlives an upgrade of Node.
  const link = join(dirname(program), 'node');
  const node = existsSync(link) ? link : process.execPath;
  const hook = (action: string): { path: string; args: string[]; env: string[] } => ({
    path: node,
    args: [node, program, action, dir],
    env: [`PATH=${programPath()}`],
  });
  const { createRuntime = [], poststop = [], ...rest } = spec.hooks ?? {};
  spec.hooks = {
    ...rest,
    createRuntime: [...createRuntime, hook('set-up')],
    poststop: [...poststop, hook('tear-down')],
  };
}

/** Beside the bundled programs: as they are built and installed, from the library's or the sources' directory, or in npm's package for the platform. */
function programFile(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const found = [...['.', '..', '../../..', '../../../../dist'].map((up) => join(here, up)), dirname(addonPath())]
    .map((directory) => join(directory, PROGRAM))
    .find((path) => existsSync(path));
  if (found === undefined)
    throw precondition(
      `${PROGRAM}, which connects containers with networks, is missing near ${here}: run 'make build' or 'make install', or choose --network none`,
    );
  return found;
}
