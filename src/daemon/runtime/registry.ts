/** The runtimes that containers can name. */
import { isAbsolute } from 'node:path';
import { errdefs } from '../../api/full.js';
import type { Runtime, RuntimeRegistry } from './types.js';

/** What a container gets that names none, and what ctr and dockerd name. */
export const DEFAULT_RUNTIME = 'io.containerd.runc.v2';

/** Names of older clients and short ones: all are the same shim, which takes the options of each. */
const STOCK = [DEFAULT_RUNTIME, 'io.containerd.runc.v1', 'io.containerd.runtime.v1.linux', 'runc'] as const;

export interface RuntimesOptions {
  /** The shim of the stock runtimes: {@link Runtime.shim}. */
  readonly shim: string;
  /** Those of the configuration. One by a stock name replaces that one. */
  readonly configured?: readonly Runtime[];
  readonly defaultRuntime?: string;
}

export class Runtimes implements RuntimeRegistry {
  readonly #runtimes = new Map<string, Runtime>();
  readonly #default: string;

  /** @throws InvalidArgument for a runtime without a proper name or shim, AlreadyExists for two of one name */
  constructor({ shim, configured = [], defaultRuntime = DEFAULT_RUNTIME }: RuntimesOptions) {
    for (const runtime of configured) this.register(runtime);
    for (const name of STOCK) if (!this.#runtimes.has(name)) this.register({ name, shim });
    this.#default = defaultRuntime;
  }

  /** The name that stands for an empty one. It may be registered later, by a plugin. */
  get default(): string {
    return this.#default;
  }

  register(runtime: Runtime): void {
    const { name, shim } = runtime;
    if (typeof name !== 'string' || !/^[\w./+-]+$/.test(name)) {
      throw errdefs.invalidArgument(
        `runtime name ${JSON.stringify(name)} may have letters, digits and . _ - + / in it, and must not be empty`,
      );
    }
    if (typeof shim !== 'string' || !isShim(shim)) {
      throw errdefs.invalidArgument(
        `shim ${JSON.stringify(shim)} of runtime ${name} is neither an absolute path nor a name such as ${DEFAULT_RUNTIME}`,
      );
    }
    const other = this.#runtimes.get(name);
    if (other !== undefined)
      throw errdefs.alreadyExists(
        `runtime ${name}, whose shim is ${other.shim}, cannot be registered again with ${shim}: choose another name`,
      );
    this.#runtimes.set(name, runtime);
  }

  list(): Runtime[] {
    return [...this.#runtimes.values()];
  }

  get(name: string): Runtime {
    const wanted = name === '' ? this.#default : name;
    const known = this.#runtimes.get(wanted);
    if (known !== undefined) return known;
    if (isShim(wanted)) return { name: wanted, shim: wanted };
    throw errdefs.invalidArgument(
      `runtime ${JSON.stringify(wanted)} is unknown: give one of ${[...this.#runtimes.keys()].join(', ')}, a name such as io.containerd.NAME.v2, or the absolute path of a shim`,
    );
  }
}

/** An absolute path, or a name that a binary's follows from: `x.runc.v2` is containerd-shim-runc-v2 (contract §1.1). */
function isShim(shim: string): boolean {
  return isAbsolute(shim) || /^[^./]+(\.[^/]+)*\.[^./]+$/.test(shim);
}
