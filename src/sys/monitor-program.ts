/** Where Hawser's native program is, which can be a monitor. */
import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { addonPath } from './native.js';

/**
 * It lies beside the addon as installed, or as packed. Undefined where there is none, as in a bundle that was taken elsewhere: then who would have one
 * does without.
 */
export function monitorProgram(): string | undefined {
  const place = dirname(addonPath());
  return ['bin', '../npm'].map((room) => join(place, room, 'containerd-shim-runc-v2')).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
