/** The plugins that come with the daemon. Those that tell of the daemon itself are made by it: daemon.ts. */
import { eventsPlugin, exchangePlugin } from './events/service.js';
import { versionPlugin } from './introspection/version.js';
import { storePlugins } from './metadata/plugins.js';
import type { Registration } from './plugin/types.js';
import { restartPlugin } from './restart/plugins.js';
import { sandboxPlugins } from './sandboxes/plugins.js';
import { taskPlugins } from './tasks/plugins.js';

export const stockPlugins: readonly Registration[] = [
  exchangePlugin,
  ...storePlugins,
  ...taskPlugins,
  ...sandboxPlugins,
  restartPlugin as Registration,
  eventsPlugin,
  versionPlugin,
];
