/** What one plugin is given, and what it has left to be done at its end. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { makeDirectory } from '../directory.js';
import type { Exchange } from '../events/types.js';
import type { Metadata } from '../metadata/types.js';
import type { RuntimeRegistry } from '../runtime/types.js';
import { nameOf } from './order.js';
import { PluginType, type DaemonInfo, type InitContext, type Registration } from './types.js';

/** What all plugins are given alike. */
export interface Surroundings {
  readonly daemon: DaemonInfo;
  readonly signal: AbortSignal;
  readonly events: Exchange;
  readonly runtimes: RuntimeRegistry;
}

export class Context implements InitContext {
  config: unknown;
  readonly exports: Record<string, string> = {};
  readonly capabilities: string[] = [];
  readonly daemon: DaemonInfo;
  readonly signal: AbortSignal;
  readonly events: Exchange;
  readonly runtimes: RuntimeRegistry;
  readonly #name: string;
  readonly #made = new Set<string>();
  readonly #closers: (() => void | Promise<void>)[] = [];

  constructor(
    private readonly registration: Registration,
    surroundings: Surroundings,
    readonly log: Logger,
    private readonly instances: (type: string) => ReadonlyMap<string, unknown>,
  ) {
    this.#name = nameOf(registration);
    this.daemon = surroundings.daemon;
    this.signal = surroundings.signal;
    this.events = surroundings.events;
    this.runtimes = surroundings.runtimes;
  }

  get root(): string {
    return this.#directory(this.daemon.root);
  }

  get state(): string {
    return this.#directory(this.daemon.state);
  }

  get metadata(): Metadata {
    return this.get<Metadata>(PluginType.Metadata);
  }

  // These are fields, not methods, as plugins take their context apart.

  readonly get = <Instance = unknown>(type: PluginType, id?: string): Instance => {
    this.#checkRequired(type, id);
    const found = this.instances(type);
    const [chosen = ''] = id === undefined ? found.keys() : [id];
    if (!found.has(chosen))
      throw new Error(
        `plugin ${this.#name}: no plugin ${id === undefined ? `of type ${type}` : `${type}.${id}`} has started`,
      );
    return found.get(chosen) as Instance;
  };

  readonly all = <Instance = unknown>(type: PluginType): ReadonlyMap<string, Instance> => {
    this.#checkRequired(type);
    return this.instances(type) as ReadonlyMap<string, Instance>;
  };

  readonly onClose = (close: () => void | Promise<void>): void => {
    this.#closers.push(close);
  };

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (err) {
        this.log.error({ err }, 'cannot end the plugin as it should be');
      }
    }
  }

  /** Without the requirement it would work or not, depending on the order in which plugins happen to start. */
  #checkRequired(type: string, id?: string): void {
    const required = this.registration.requires ?? [];
    if (
      required.some(
        (one) =>
          one === '*' || one === type || (id === undefined ? one.startsWith(`${type}.`) : one === `${type}.${id}`),
      )
    )
      return;
    throw new Error(
      `plugin ${this.#name} asks for ${id === undefined ? type : `${type}.${id}`}, which is not among what it requires: add it there`,
    );
  }

  #directory(parent: string): string {
    const path = join(parent, this.#name);
    if (!this.#made.has(path)) {
      makeDirectory(path);
      this.#made.add(path);
    }
    return path;
  }
}
