import { boundCapabilities, CAPABILITIES } from '../../oci/capabilities.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { SpecProcess } from './types.js';

const ALL: readonly string[] = CAPABILITIES.map((name) => `CAP_${name}`);

/** Adds and drops capabilities in the three sets that a process has them by. */
export function changeCapabilities(process: SpecProcess, add: readonly string[], drop: readonly string[]): void {
  if (add.length === 0 && drop.length === 0) return;
  const has = new Set(process.capabilities?.bounding);
  for (const name of drop.flatMap(named)) has.delete(name);
  for (const name of add.flatMap(named)) has.add(name);
  const list = [...has];
  process.capabilities = { ...process.capabilities, bounding: list, effective: [...list], permitted: [...list] };
}

function named(word: string): string[] {
  const upper = word.toUpperCase();
  if (upper === 'ALL') return boundCapabilities();
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!ALL.includes(name))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `capability ${JSON.stringify(word)} is none that Linux has: invalid argument`,
    );
  return [name];
}
