/** The restart monitor as a plugin. */
import { parseDuration } from '../config/duration.js';
import { PluginType, type Registration } from '../plugin/types.js';
import type { ContainerRuntime } from '../tasks/container.js';
import { RestartMonitor } from './monitor.js';

/** As containerd has it, when the configuration does not say. */
const INTERVAL_MS = 10_000;

export interface RestartConfig {
  readonly intervalMs: number;
}

/** Starts containers again by their labels. It makes a {@link RestartMonitor}. */
export const restartPlugin: Registration<RestartConfig> = {
  type: PluginType.Internal,
  id: 'restart',
  requires: [`${PluginType.Task}.task`, PluginType.Metadata, PluginType.Snapshotter],
  config: ({ interval = '0', ...rest }) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Error(`${unknown} is no key of this plugin: it has interval`);
    const ms = typeof interval === 'string' ? parseDuration(interval) : undefined;
    if (ms === undefined) throw new Error(`interval must be a time such as "10s" or "1m30s", not ${JSON.stringify(interval)}`);
    return { intervalMs: ms || INTERVAL_MS };
  },
  init: async (context) => {
    const { config: { intervalMs }, metadata, log, signal, capabilities } = context;
    capabilities.push('no', 'always', 'on-failure', 'unless-stopped');
    const runtime = context.get<ContainerRuntime>(PluginType.Task, 'task');
    const monitor = new RestartMonitor({ metadata, runtime, log, intervalMs, signal });
    context.onClose(() => monitor.close());
    await monitor.start();
    return monitor;
  },
};
