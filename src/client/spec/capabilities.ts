import { boundCapabilities, CAPABILITIES } from '../../oci/capabilities.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { SpecProcess } from './types.js';

const ALL: readonly string[] = CAPABILITIES.map((name) => `CAP_${name}`);

/**
 * Adds and drops capabilities in the three sets that a process has them by. As docker has it, what is added wins over what is dropped;
 * but of ALL that are added, those that are dropped by name are taken away.
 */
export function changeCapabilities(process: SpecProcess, add: readonly string[], drop: readonly string[]): void {
  if (add.length === 0 && drop.length === 0) return;
  const has = new Set(process.capabilities?.bounding);
  const dropped = drop.flatMap(named);
  const added = add.flatMap(named);
  if (add.some(isAll)) {
    for (const name of added) has.add(name);
    if (!drop.some(isAll)) for (const name of dropped) has.delete(name);
  } else {
    for (const name of dropped) has.delete(name);
    for (const name of added) has.add(name);
  }
  const list = [...has];
  process.capabilities = { ...process.capabilities, bounding: list, effective: [...list], permitted: [...list] };
}

function isAll(word: string): boolean {
  return word.toUpperCase() === 'ALL';
}

function named(word: string): string[] {
  const upper = word.toUpperCase();
  if (isAll(word)) return boundCapabilities();
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!ALL.includes(name))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `capability ${JSON.stringify(word)} is none that Linux has: invalid argument`,
    );
  return [name];
}
