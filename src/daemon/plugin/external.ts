/** Plugins from outside: ES modules that the configuration names. */
import { pathToFileURL } from 'node:url';
import type { Logger } from 'pino';
import type { PluginRegistry } from './registry.js';
import type { Registration } from './types.js';

/**
 * Loads modules and registers what they export by default: a registration, or an array of them. One that cannot be loaded is
 * logged with its path, and the others are loaded nevertheless.
 */
export async function registerExternal(paths: readonly string[], registry: PluginRegistry, log: Logger): Promise<void> {
  for (const path of paths) {
    try {
      const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
      if (module.default === undefined)
        throw new Error('it has no default export; export a registration, or an array of them');
      for (const one of Array.isArray(module.default) ? (module.default as unknown[]) : [module.default])
        registry.register(one as Registration);
      log.info({ path }, 'external plugins registered');
    } catch (err) {
      log.error(
        { path, err },
        `external plugin ${path} cannot be loaded: ${err instanceof Error ? err.message : String(err)}`,
      );
    }
  }
}
