/** The task monitor as a plugin. */
import { PluginType, type Registration } from '../plugin/types.js';
import type { ContainerRuntime } from '../tasks/container.js';
import { Collector } from './collector.js';
import { serveMetrics } from './endpoint.js';
import { OomCounter } from './oom.js';

export interface MonitorConfig {
  /** Where to serve, as in `[metrics] address`; empty for nowhere. */
  readonly address: string;
  /** As containerd's: no metrics of tasks. */
  readonly no_prometheus: boolean;
}

/** Metrics of all tasks. It makes a {@link Collector}. */
export const monitorPlugin: Registration<MonitorConfig> = {
  type: PluginType.Monitor,
  id: 'cgroups',
  requires: [`${PluginType.Task}.task`],
  config: (given) => {
    for (const [key, value] of Object.entries(given)) {
      if (key === 'address' ? typeof value !== 'string' : key === 'no_prometheus' ? typeof value !== 'boolean' : true) {
        throw new Error(`${key} ${key === 'address' ? 'must be text like "127.0.0.1:1338"' : key === 'no_prometheus' ? 'must be true or false' : 'is no key of this plugin: it has address and no_prometheus'}`);
      }
    }
    return { address: '', no_prometheus: false, ...given };
  },
  init: async ({ config, events, log, signal, get, onClose }) => {
    const runtime = get<ContainerRuntime>(PluginType.Task, 'task');
    const ooms = new OomCounter();
    ooms.follow(events, signal).catch((error: unknown) => log.error({ err: error }, 'out-of-memory events are no longer counted'));
    const collector = new Collector({
      log,
      ooms: (namespace, id) => ooms.count(namespace, id),
      tasks: () => config.no_prometheus ? [] : runtime.list().map(({ namespace, id, task }) => ({
        namespace, id, stats: () => task.stats({ timeoutMs: runtime.timeouts.stats }),
      })),
    });
    if (config.address !== '') {
      const server = await serveMetrics(collector, config.address, log);
      onClose(() => {
        server.closeAllConnections();
        server.close();
      });
      log.info({ address: config.address }, 'serving metrics');
    }
    return collector;
  },
};
