/** Plugins: what they are given, and what they give. */
import type { Logger } from 'pino';
import type { Exchange } from '../events/types.js';
import type { BoundService } from '../grpc/service.js';
import type { Metadata } from '../metadata/types.js';
import type { RuntimeRegistry } from '../runtime/types.js';

/** The types of plugins, by the names that containerd's clients know. */
export const PluginType = {
  Content: 'io.containerd.content.v1',
  Differ: 'io.containerd.differ.v1',
  Event: 'io.containerd.event.v1',
  Grpc: 'io.containerd.grpc.v1',
  Internal: 'io.containerd.internal.v1',
  Metadata: 'io.containerd.metadata.v1',
  Monitor: 'io.containerd.monitor.task.v1',
  /** A runtime that containers can name. */
  Runtime: 'io.hawser.runtime.v1',
  /** What runs sandboxes; its id is what records have as their sandboxer. */
  SandboxController: 'io.containerd.sandbox.controller.v1',
  /** What is the same for all shims: `manager`. */
  Shim: 'io.containerd.shim.v1',
  Snapshotter: 'io.containerd.snapshotter.v1',
  /** The tasks of all runtimes: `task`. */
  Task: 'io.containerd.runtime.v2',
  Transfer: 'io.containerd.transfer.v1',
} as const;

/** Another type may be made up by an external plugin. */
export type PluginType = (typeof PluginType)[keyof typeof PluginType] | (string & {});

/** A plugin as it is registered. `TYPE.ID` names it. */
export interface Registration<Config = unknown> {
  readonly type: PluginType;
  readonly id: string;
  /** Types, or single plugins as `TYPE.ID`, that are to be there first. `*` is all others. */
  readonly requires?: readonly string[];
  /** Checks and completes what the configuration says; throws an Error that names the key. Without it there may be no configuration. */
  readonly config?: (given: Readonly<Record<string, unknown>>) => Config;
  /** Makes it; what it throws is reported, and takes down only those that require it. */
  readonly init: (context: InitContext<Config>) => unknown;
}

/** The daemon's own root and state directory, its sockets, and what its configuration says that is no single plugin's. */
export interface DaemonInfo {
  readonly root: string;
  readonly state: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  /** `[metrics] address`, HOST:PORT; absent when metrics are not to be served. */
  readonly metricsAddress?: string;
  /** `[timeouts]`, in milliseconds, by containerd's keys: `io.containerd.timeout.shim.load`, … */
  readonly timeouts?: Readonly<Record<string, number>>;
}

/** What a plugin is given to start with. */
export interface InitContext<Config = unknown> {
  readonly config: Config;
  /** Directories of its own, for what lasts and for what a reboot may clear; made when first read. */
  readonly root: string;
  readonly state: string;
  readonly daemon: DaemonInfo;
  readonly log: Logger;
  /** Aborts when the daemon ends. What is to be done first is registered by `onClose`. */
  readonly signal: AbortSignal;
  readonly events: Exchange;
  readonly runtimes: RuntimeRegistry;
  /** Only for a plugin that requires {@link PluginType.Metadata}; reading it throws otherwise. */
  readonly metadata: Metadata;
  /** What a plugin that this one requires has made; throws when it is not among the required. */
  readonly get: <Instance = unknown>(type: PluginType, id?: string) => Instance;
  /** All of a type, by id. */
  readonly all: <Instance = unknown>(type: PluginType) => ReadonlyMap<string, Instance>;
  /** Runs when the daemon ends, last registered first. */
  readonly onClose: (close: () => void | Promise<void>) => void;
  /** Shown by `ctr plugins ls -d`. */
  readonly exports: Record<string, string>;
  readonly capabilities: string[];
}

/** What a plugin of type {@link PluginType.Grpc} makes. */
export interface GrpcPlugin {
  readonly services: readonly BoundService[];
  /** The same, for ttrpc clients: the shims. */
  readonly ttrpc?: readonly BoundService[];
}

/** A plugin that tells more of itself when asked (Introspection/PluginInfo). */
export interface Informative {
  info(
    options: { type_url?: string | null; value?: Uint8Array | null } | null | undefined,
  ): Promise<{ type_url: string; value: Uint8Array }>;
}
