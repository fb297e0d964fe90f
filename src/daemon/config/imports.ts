/** The files that a file imports. */
import { readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { ConfigFile } from './file.js';

/** Their absolute paths, as they are to be read. */
export function importsOf(file: ConfigFile): string[] {
  return ((file.table.imports ?? []) as string[]).flatMap((given) => {
    const path = isAbsolute(given) ? given : join(dirname(file.path), given);
    if (!basename(path).includes('*')) return [resolve(path)];
    const pattern = new RegExp(
      `^${basename(path)
        .split('*')
        .map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
        .join('.*')}$`,
    );
    try {
      return readdirSync(dirname(path))
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => resolve(dirname(path), name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw file.fault(['imports'], `cannot look for ${given}: ${(error as Error).message}`);
    }
  });
}
