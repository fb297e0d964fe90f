/** Files that enable may write, and disable may take away. */
import { CliError } from '../errors.js';
import type { Change } from './change.js';
import { originOf } from './marks.js';
import type { Root } from './root.js';

/** @returns the file's text; undefined when there is none yet. @throws CliError when it is another's, or was edited */
export function ours(root: Root, path: string): string | undefined {
  const text = root.read(path);
  if (text === undefined) return undefined;
  const origin = originOf(text);
  if (origin === 'foreign') throw new CliError(`${root.at(path)} is there and not of enable's: move it away first`);
  if (origin === 'edited')
    throw new CliError(
      `${root.at(path)} was edited since enable wrote it: move it away first, or have \`hawser shim disable --force\` remove it`,
    );
  return text;
}

/** Takes a whole file away. */
export function removal(root: Root, path: string): Change[] {
  const before = root.read(path);
  return before === undefined ? [] : [{ path, before, after: undefined }];
}
