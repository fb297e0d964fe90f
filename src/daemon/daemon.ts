/** The daemon: its directories, plugins and sockets, from the first to the last. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { joinCgroup } from './cgroup.js';
import type { Config } from './config/index.js';
import { METRICS_SERVER, SERVERS } from './config/schema.js';
import { makeDirectory } from './directory.js';
import { EventExchange } from './events/exchange.js';
import { UnheardExits } from './events/unheard.js';
import { EarlyListener } from './grpc/listener.js';
import { GrpcServer } from './grpc/server.js';
import { TtrpcServer } from './grpc/ttrpc-server.js';
import { healthPlugin } from './introspection/health.js';
import { introspectionPlugin } from './introspection/service.js';
import { lockRoot } from './lock.js';
import { registerExternal } from './plugin/external.js';
import { nameOf } from './plugin/order.js';
import { PluginRegistry } from './plugin/registry.js';
import { PluginType, type GrpcPlugin, type Registration } from './plugin/types.js';
import { Runtimes } from './runtime/registry.js';
import { VERSION } from './version.js';

/** How long calls that are under way may take at the end. */
const GRACE_MS = 5_000;

export interface DaemonOptions {
  readonly config: Config;
  readonly log: Logger;
  /** The shim of the stock runtimes. */
  readonly shim: string;
  readonly plugins: readonly Registration[];
}

export class Daemon {
  readonly #ending = new AbortController();
  readonly #undo: (() => void | Promise<void>)[] = [];
  readonly #events = new EventExchange(undefined, new UnheardExits());
  readonly #runtimes: Runtimes;
  readonly #plugins: PluginRegistry;
  readonly #grpc: GrpcServer;
  readonly #ttrpc: TtrpcServer;
  readonly #started = Date.now();

  private constructor(private readonly options: DaemonOptions) {
    const { config, log, shim } = options;
    this.#runtimes = new Runtimes({ shim, configured: config.runtimes, defaultRuntime: config.defaultRuntime });
    this.#grpc = new GrpcServer({ log, maxReceive: config.grpc.maxReceive, maxSend: config.grpc.maxSend });
    this.#ttrpc = new TtrpcServer({ log });
    this.#plugins = new PluginRegistry({
      log,
      signal: this.#ending.signal,
      events: this.#events,
      runtimes: this.#runtimes,
      daemon: {
        root: config.root,
        state: config.state,
        address: config.grpc.address,
        ttrpcAddress: config.ttrpc.address,
        timeouts: config.timeouts,
        ...(config.metrics.address === '' || config.disabledPlugins.includes(METRICS_SERVER)
          ? {}
          : { metricsAddress: config.metrics.address }),
      },
      sections: config.plugins,
      disabled: config.disabledPlugins,
    });
  }

  /** Starts everything. When that cannot be, what has been started is ended again, and the error says why in one line. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options);
    try {
      await daemon.#start();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  async #start(): Promise<void> {
    const { config, log, plugins } = this.options;
    useDirectory('root', config.root);
    useDirectory('state', config.state);
    this.#undo.push(lockRoot(config.root));
    if (config.oomScore !== 0) adjustOomScore(config.oomScore, log);
    if (config.cgroup.path !== '') joinCgroup(config.cgroup.path);
    if (config.unused.length > 0) log.debug({ keys: config.unused }, 'keys of the configuration that have no use here');
    const grpc = await this.#listen(config.grpc.address, config.grpc);
    const ttrpc = await this.#listen(config.ttrpc.address, config.ttrpc);

    for (const plugin of [
      ...plugins,
      introspectionPlugin(() => this.#plugins.list()),
      healthPlugin(() => this.#grpc.services),
    ])
      this.#plugins.register(plugin);
    await registerExternal(config.externalPlugins, this.#plugins, log);
    this.#undo.push(() => this.#plugins.close());
    await this.#plugins.start();
    this.#addServices();
    this.#checkRequired();

    grpc.serve((socket) => this.#grpc.accept(socket));
    ttrpc.serve((socket) => this.#ttrpc.accept(socket));
    this.#undo.push(
      () => this.#ttrpc.close(GRACE_MS),
      () => this.#grpc.close(GRACE_MS),
    );
    log.info(
      {
        address: config.grpc.address,
        root: config.root,
        version: VERSION,
        pid: process.pid,
        ms: Date.now() - this.#started,
      },
      'hawserd serves',
    );
  }

  /** Ends everything, last begun first. Containers live on. */
  async stop(): Promise<void> {
    this.#ending.abort();
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (err) {
        this.options.log.error({ err }, 'cannot end as it should be');
      }
    }
  }

  /** What it is doing, for whoever wants to know why it isn't. */
  state(): object {
    const { heapUsed, rss } = process.memoryUsage();
    return {
      version: VERSION,
      pid: process.pid,
      uptimeMs: Date.now() - this.#started,
      memory: { heapUsed, rss },
      config: this.options.config,
      plugins: this.#plugins
        .list()
        .map(({ name, error }) => (error === undefined ? { name } : { name, error: error.message })),
      runtimes: this.#runtimes.list().map(({ name, shim }) => ({ name, shim })),
      services: this.#grpc.services,
      ttrpcServices: this.#ttrpc.services,
      subscribers: this.#events.subscribers,
      resources: process.getActiveResourcesInfo(),
    };
  }

  async #listen(address: string, owner: { uid: number; gid: number }): Promise<EarlyListener> {
    const listener = await EarlyListener.listen(address, owner);
    this.#undo.push(() => listener.close());
    return listener;
  }

  /** Two plugins that answer for the same service: the second is the one that cannot. */
  #addServices(): void {
    for (const { name, instance } of this.#plugins.made(PluginType.Grpc)) {
      const { services = [], ttrpc = [] } = (instance ?? {}) as Partial<GrpcPlugin>;
      try {
        for (const service of services) this.#grpc.add(service, name);
        for (const service of ttrpc) this.#ttrpc.add(service, name);
      } catch (error) {
        this.#plugins.fail(name, error as Error);
      }
    }
  }

  #checkRequired(): void {
    for (const required of this.options.config.requiredPlugins) {
      // The daemon itself is those servers.
      if (Object.hasOwn(SERVERS, required)) continue;
      const found = this.#plugins.list().find(({ registration }) => nameOf(registration) === required);
      if (found === undefined)
        throw new Error(`required_plugins names ${required}, and there is no such plugin, or it is disabled`);
      if (found.error !== undefined)
        throw new Error(`required plugin ${required} has not started: ${found.error.message}`);
    }
  }
}

function useDirectory(what: string, path: string): void {
  try {
    makeDirectory(path);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(
      `${what} directory ${path} cannot be used: ${(error as Error).message}. Give another one with --${what}, or run hawserd as root`,
      { cause: error },
    );
  }
}

function adjustOomScore(score: number, log: Logger): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch (err) {
    log.warn({ err, score }, 'cannot set oom_score');
  }
}
