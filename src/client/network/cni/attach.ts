/** Puts a container into a network and takes it out again, by all of the network's plugins. */
import { textOf } from '../failure.js';
import type { Places } from '../places.js';
import type { PortMapping } from '../types.js';
import type { NetworkConfig, PluginConfig } from './config.js';
import { runPlugin, type Call } from './plugin.js';

/** What is to be done, and to be undone exactly so, whatever becomes of the configuration meanwhile. */
export interface Attaching {
  readonly network: string;
  readonly interface: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConfig[];
  readonly containerId: string;
  readonly netns: string;
  readonly args: readonly string[];
  readonly ports: readonly PortMapping[];
  /** Of the last plugin, once it has been done. */
  readonly result?: Readonly<Record<string, unknown>>;
}

type Dirs = Pick<Places, 'pluginDirs'>;

/**
 * Runs the plugins in their order. What a failure leaves is the caller's to take back by {@link detach}, as the standard has it.
 *
 * @returns the last one's result
 */
export async function attach(dirs: Dirs, attaching: Attaching): Promise<Record<string, unknown>> {
  let result: Record<string, unknown> | undefined;
  for (const plugin of attaching.plugins) {
    const config = configFor(attaching, plugin, result);
    result = await runPlugin(dirs, plugin.type, callOf('ADD', attaching, attaching.netns), config);
  }
  return result ?? {};
}

/**
 * Runs the plugins in reverse, each of them, whatever the others say.
 *
 * @param netns its namespace, or empty when that is gone
 * @throws Error with all that failed
 */
export async function detach(dirs: Dirs, attaching: Attaching, netns: string): Promise<void> {
  const failures: string[] = [];
  for (const plugin of [...attaching.plugins].reverse()) {
    try {
      const config = configFor(attaching, plugin, attaching.result);
      await runPlugin(dirs, plugin.type, callOf('DEL', attaching, netns), config);
    } catch (error) {
      failures.push(textOf(error));
    }
  }
  if (failures.length > 0) throw new Error(`network ${attaching.network}: ${failures.join('; ')}`);
}

function callOf(command: Call['command'], { containerId, interface: name, args }: Attaching, netns: string): Call {
  return { command, containerId, netns, interface: name, args };
}

/** A plugin's own part, with what the standard has the runtime add. */
function configFor(
  { network, cniVersion, ports }: Attaching,
  plugin: PluginConfig,
  prevResult: Readonly<Record<string, unknown>> | undefined,
): Record<string, unknown> {
  const { capabilities, ...rest } = plugin;
  const mappings = ports.map(({ hostIp, hostPort, containerPort, protocol }) => ({
    hostPort,
    containerPort,
    protocol,
    ...(hostIp === '' ? {} : { hostIP: hostIp }),
  }));
  return {
    ...rest,
    name: network,
    cniVersion,
    ...(capabilities?.portMappings && mappings.length > 0 ? { runtimeConfig: { portMappings: mappings } } : {}),
    ...(prevResult === undefined ? {} : { prevResult }),
  };
}

/** How a network is joined. */
export function attachingOf(
  config: NetworkConfig,
  rest: Omit<Attaching, 'network' | 'cniVersion' | 'plugins'>,
): Attaching {
  return { network: config.name, cniVersion: config.cniVersion, plugins: config.plugins, ...rest };
}
