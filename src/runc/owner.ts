/** Whose a runtime's container is: runtimes keep the bundle of each, and two daemons may have containers of one name. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tryRead } from '../oci/bundle.js';

/** Where runc and youki, and crun, keep what they know of a container. */
const FILES = ['state.json', 'status'];
const LABEL = 'bundle=';

/**
 * The bundle that a container was made from.
 *
 * @param directory of its state, below the runtime's root
 * @returns undefined when the runtime has not written it down, or in no way that is known
 */
export function bundleOf(directory: string): string | undefined {
  for (const name of FILES) {
    const text = tryRead(join(directory, name));
    if (text === undefined) continue;
    const { bundle, config } = parse(text);
    if (typeof bundle === 'string') return bundle;
    const label = config?.labels?.find((one) => typeof one === 'string' && one.startsWith(LABEL));
    if (label !== undefined) return (label as string).slice(LABEL.length);
  }
  return undefined;
}

/** Whether two paths mean one bundle. One that is gone is looked at as far as it is there. */
export function isSameBundle(one: string, other: string): boolean {
  return one === other || real(one) === real(other);
}

/** True when the runtime has a container of this name that was made from another bundle than this one. */
export function isAnothers(directory: string, bundle: string): boolean {
  const owner = bundleOf(directory);
  return owner !== undefined && !isSameBundle(owner, bundle);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    const parent = dirname(path);
    return parent === path ? path : join(real(parent), basename(path));
  }
}

interface State {
  bundle?: unknown;
  config?: { labels?: unknown[] | null } | null;
}

/** A file that is half written, or another's, says nothing. */
function parse(text: string): State {
  try {
    const state: unknown = JSON.parse(text);
    return typeof state === 'object' && state !== null ? state : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
