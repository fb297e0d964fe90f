/** What `hawserd config check` looks at beside the files' form: whether each plugin takes what its section says. */
import { ConfigError, type Config } from './config/index.js';
import { readConfigFile } from './config/file.js';
import { nameOf } from './plugin/order.js';
import type { Registration } from './plugin/types.js';

/**
 * @param plugins those that come with the daemon; external ones are modules whose code is not to run here
 * @throws ConfigError with the place of the section
 */
export function checkSections(
  { plugins: sections, disabledPlugins, files }: Config,
  plugins: readonly Registration[],
): void {
  for (const plugin of plugins) {
    const name = nameOf(plugin);
    if (disabledPlugins.includes(name) || disabledPlugins.includes(plugin.type)) continue;
    try {
      plugin.config?.(sections[name] ?? {});
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const file = files.map(readConfigFile).findLast((one) => Object.hasOwn(one.plugins, name));
      throw (
        file?.fault(['plugins', name], `plugin ${name}: ${error.message}`) ??
        new ConfigError(`plugin ${name}: ${error.message}`)
      );
    }
  }
}
