/** What enable does for whom. */
import { together, type Plan } from './change.js';
import { CONTAINERD_SERVICE } from './containerd.js';
import { enableRuntime } from './containerd-runtime.js';
import { DOCKER_SERVICE, enableDockerRuntime } from './docker.js';
import { checkName } from './names.js';
import { distrust } from './own-shim.js';
import { enablePath } from './path.js';
import type { Root } from './root.js';
import { readService } from './service.js';

export interface Wish {
  /** Whichever has a service, containerd first, unless given. */
  readonly daemon?: 'containerd' | 'docker' | undefined;
  /** The name of a runtime; without one all containers of the default runtime are meant. */
  readonly runtimeClass?: string | undefined;
  /** Our shim, as it is found from here. */
  readonly shim: string;
}

/** @throws CliError when it cannot be had */
export function enable(root: Root, { daemon: wanted, runtimeClass, shim }: Wish): Plan {
  const daemon =
    wanted ??
    (readService(root, CONTAINERD_SERVICE) === undefined && readService(root, DOCKER_SERVICE) !== undefined
      ? 'docker'
      : 'containerd');
  const path = root.inside(shim);
  const doubt = distrust(shim);
  const notes = doubt === undefined ? [] : [`MIND: ${doubt}.`];
  if (runtimeClass !== undefined) checkName(runtimeClass);
  const plan =
    runtimeClass === undefined
      ? enablePath(root, daemon, path)
      : daemon === 'docker'
        ? enableDockerRuntime(root, runtimeClass, path)
        : enableRuntime(root, runtimeClass, path);
  return together([{ changes: [], steps: [], notes }, plan]);
}
