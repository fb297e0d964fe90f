/** The task monitor as a plugin. */
import type { AddressInfo } from 'node:net';
import { PluginType, type Registration } from '../plugin/types.js';
import type { ContainerRuntime } from '../tasks/container.js';
import { Collector } from '../monitor/collector.js';
import { serveMetrics } from '../monitor/endpoint.js';
import { OomCounter } from '../monitor/oom.js';

export interface MonitorConfig {
  /** As containerd's: no metrics of tasks. */
  readonly no_prometheus: boolean;
}

/** Metrics of all tasks. It makes a {@link Collector}. */
export const monitorPlugin: Registration<MonitorConfig> = {
  type: PluginType.Monitor,
  id: 'cgroups',
  requires: [`${PluginType.Task}.task`],
  config: ({ no_prometheus = false, ...rest }) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined)
      throw new Error(`${unknown} is no key of this plugin: it has no_prometheus; where to serve is said in [metrics]`);
    if (typeof no_prometheus !== 'boolean') throw new Error('no_prometheus must be true or false');
    return { no_prometheus };
  },
  init: async (context) => {
    const { config, daemon, events, log, signal } = context;
    const runtime = context.get<ContainerRuntime>(PluginType.Task, 'task');
    const ooms = new OomCounter();
    ooms
      .follow(events, signal)
      .catch((error: unknown) => log.error({ err: error }, 'out-of-memory events are no longer counted'));
    const collector = new Collector({
      log,
      ooms: (namespace, id) => ooms.count(namespace, id),
      tasks: () =>
        config.no_prometheus
          ? []
          : runtime.list().map(({ namespace, id, task }) => ({
              namespace,
              id,
              stats: () => task.stats({ timeoutMs: runtime.timeouts.stats }),
            })),
    });
    if (daemon.metricsAddress) {
      const server = await serveMetrics(collector, daemon.metricsAddress, log);
      context.onClose(() => {
        server.closeAllConnections();
        server.close();
      });
      log.info({ address: daemon.metricsAddress, port: (server.address() as AddressInfo).port }, 'serving metrics');
    }
    return collector;
  },
};
