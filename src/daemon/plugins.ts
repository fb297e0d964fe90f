/** The plugins that come with the daemon. Those that tell of the daemon itself are made by it: daemon.ts. */
import type { Registration } from './plugin/types.js';
import { eventsPlugin, exchangePlugin } from './stock/events.js';
import { restartPlugin } from './stock/restart.js';
import { sandboxPlugins } from './stock/sandboxes.js';
import { storePlugins } from './stock/stores.js';
import { taskPlugins } from './stock/tasks.js';
import { versionPlugin } from './stock/version.js';

export const stockPlugins: readonly Registration[] = [
  exchangePlugin,
  ...storePlugins,
  ...taskPlugins,
  ...sandboxPlugins,
  restartPlugin as Registration,
  eventsPlugin,
  versionPlugin,
];
