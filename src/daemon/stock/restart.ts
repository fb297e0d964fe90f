/** The restart monitor as a plugin. */
import { parseDuration } from '../config/duration.js';
import { PluginType, type Registration } from '../plugin/types.js';
import type { ContainerRuntime } from '../tasks/container.js';
import { RestartMonitor } from '../restart/monitor.js';

/** As containerd has it, when the configuration does not say. */
const INTERVAL = '10s';

export interface RestartConfig {
  /** Between two looks, as Go writes durations; none, or 0, for the default. */
  readonly interval: string;
}

/** Starts containers again by their labels. It makes a {@link RestartMonitor}. */
export const restartPlugin: Registration<RestartConfig> = {
  type: PluginType.Internal,
  id: 'restart',
  requires: [`${PluginType.Task}.task`, PluginType.Metadata, PluginType.Snapshotter],
  config: ({ interval = INTERVAL, ...rest }) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Error(`${unknown} is no key of this plugin: it has interval`);
    if (typeof interval !== 'string' || parseDuration(interval) === undefined)
      throw new Error(`interval must be a time such as "10s" or "1m30s", not ${JSON.stringify(interval)}`);
    return { interval };
  },
  init: async (context) => {
    const { config, metadata, log, signal, capabilities } = context;
    capabilities.push('no', 'always', 'on-failure', 'unless-stopped');
    const runtime = context.get<ContainerRuntime>(PluginType.Task, 'task');
    const intervalMs = parseDuration(config.interval) || parseDuration(INTERVAL)!;
    const monitor = new RestartMonitor({ metadata, runtime, log, intervalMs, signal });
    context.onClose(() => monitor.close());
    await monitor.start();
    return monitor;
  },
};
