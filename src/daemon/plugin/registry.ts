/** The registry: which plugins there are, what has become of them, and their beginning and end. */
import type { Logger } from 'pino';
import { errdefs } from '../../api/full.js';
import { Context, type Surroundings } from './context.js';
import { meantBy, nameOf, orderOf } from './order.js';
import type { PluginType, Registration } from './types.js';

/** A plugin, as it is now. */
export interface PluginRecord {
  readonly registration: Registration;
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** What it has made, if it has. */
  readonly instance?: unknown;
  /** Why it hasn't. */
  readonly error?: Error;
}

export interface RegistryOptions extends Surroundings {
  readonly log: Logger;
  /** The `[plugins."TYPE.ID"]` sections of the configuration, by `TYPE.ID`. */
  readonly sections?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** `TYPE.ID`, or a whole type, that is not to be there. */
  readonly disabled?: readonly string[];
}

export class PluginRegistry {
  readonly #registered = new Map<string, Registration>();
  readonly #records = new Map<Registration, PluginRecord>();
  readonly #contexts: Context[] = [];

  constructor(private readonly options: RegistryOptions) {}

  /** @throws AlreadyExists for a name that is taken, InvalidArgument for what is no registration */
  register(registration: Registration): void {
    checkRegistration(registration);
    const name = nameOf(registration);
    if (this.#registered.has(name))
      throw errdefs.alreadyExists(`plugin ${name} is registered twice: give one of them another id, or disable it`);
    this.#registered.set(name, registration);
  }

  /** Starts every plugin that is not disabled, one after the other. What one throws is kept in its record. */
  async start(): Promise<void> {
    const { disabled = [], sections = {}, log } = this.options;
    const enabled = [...this.#registered.values()].filter(
      (one) => !disabled.includes(nameOf(one)) && !disabled.includes(one.type),
    );
    for (const name of disabled)
      if (!this.#isKnown(name)) log.debug({ plugin: name }, 'disabled_plugins names a plugin that does not exist');
    for (const name of Object.keys(sections))
      if (!this.#registered.has(name)) log.debug({ plugin: name }, 'configuration of a plugin that does not exist');
    const { order, faults } = orderOf(enabled);
    for (const registration of order) {
      const fault = faults.get(registration) ?? this.#missing(registration, enabled);
      if (fault === undefined) await this.#init(registration, sections[nameOf(registration)]);
      else this.#fail(registration, fault);
    }
  }

  /** What has become of each plugin, in the order in which they were started. */
  list(): PluginRecord[] {
    return [...this.#records.values()];
  }

  /** What the plugins of a type have made, with their names. */
  made(type: PluginType): { readonly name: string; readonly instance: unknown }[] {
    return this.list()
      .filter(({ registration, error }) => registration.type === type && error === undefined)
      .map(({ name, instance }) => ({ name, instance }));
  }

  /** Names a plugin whose place in the daemon could not be taken after all: its services clash with another's, say. */
  fail(name: string, error: Error): void {
    const registration = this.#registered.get(name);
    if (registration !== undefined) this.#fail(registration, error);
  }

  /** Ends them, last started first. What goes wrong is logged, and the rest is ended nevertheless. */
  async close(): Promise<void> {
    for (const context of this.#contexts.splice(0).reverse()) await context.close();
  }

  #isKnown(name: string): boolean {
    return this.#registered.has(name) || [...this.#registered.values()].some(({ type }) => type === name);
  }

  /** A requirement is met when one of those that it means has started. */
  #missing(registration: Registration, enabled: readonly Registration[]): Error | undefined {
    for (const requirement of registration.requires ?? []) {
      if (requirement === '*') continue;
      const meant = meantBy(requirement, registration, enabled);
      if (meant.some((other) => this.#records.get(other)?.error === undefined)) continue;
      const failed = meant.map((other) => `${nameOf(other)}: ${this.#records.get(other)!.error!.message}`).join('; ');
      return new Error(`plugin ${nameOf(registration)} requires ${requirement}, which has not started (${failed})`);
    }
    return undefined;
  }

  async #init(registration: Registration, section: Readonly<Record<string, unknown>> | undefined): Promise<void> {
    const name = nameOf(registration);
    const log = this.options.log.child({ plugin: name });
    const context = new Context(registration, this.options, log, (type) => this.#instances(type));
    const started = Date.now();
    try {
      context.config = this.#configure(registration, section, log);
      const instance = await registration.init(context);
      this.#contexts.push(context);
      this.#records.set(registration, {
        registration,
        name,
        instance,
        exports: context.exports,
        capabilities: context.capabilities,
      });
      log.debug({ ms: Date.now() - started }, 'plugin started');
    } catch (thrown) {
      await context.close();
      this.#fail(registration, thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  }

  #configure(
    { type, config }: Registration,
    section: Readonly<Record<string, unknown>> | undefined,
    log: Logger,
  ): unknown {
    if (config !== undefined) return config(section ?? {});
    const keys = Object.keys(section ?? {});
    if (keys.length === 0) return undefined;
    // containerd's plugins of the same names have settings of their own, which its users may bring along.
    if (!type.startsWith('io.containerd.'))
      throw new Error(`the plugin has no configuration, but [plugins] gives it ${keys.join(', ')}`);
    log.warn({ keys }, 'this plugin has no settings here: they are ignored');
    return undefined;
  }

  #fail(registration: Registration, error: Error): void {
    const name = nameOf(registration);
    const context = { registration, name, error, exports: {}, capabilities: [] };
    this.#records.set(registration, context);
    this.options.log.warn({ plugin: name, err: error }, `plugin ${name} has not started: ${error.message}`);
  }

  #instances(type: string): Map<string, unknown> {
    const found = new Map<string, unknown>();
    for (const { registration, instance, error } of this.#records.values()) {
      if (registration.type === type && error === undefined) found.set(registration.id, instance);
    }
    return found;
  }
}

/** External modules may export anything. */
function checkRegistration(given: Registration): void {
  const { type, id, requires = [], config, init } = (given ?? {}) as Partial<Record<keyof Registration, unknown>>;
  const wrong =
    typeof type !== 'string' || !/^[\w.-]+$/.test(type)
      ? 'type'
      : typeof id !== 'string' || !/^[\w-][\w.-]*$/.test(id)
        ? 'id'
        : !Array.isArray(requires) || !requires.every((one) => typeof one === 'string')
          ? 'requires'
          : config !== undefined && typeof config !== 'function'
            ? 'config'
            : typeof init !== 'function'
              ? 'init'
              : undefined;
  if (wrong !== undefined) {
    throw errdefs.invalidArgument(
      `${wrong} of plugin ${String(type)}.${String(id)} is not as it should be: a registration is { type, id, requires?, config?, init }`,
    );
  }
}
