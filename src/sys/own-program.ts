/** Telling Hawser's native program from others of its name. */
import { readFileSync } from 'node:fs';

/** What stands in it, before the place of its library (monitor/launcher.h). */
const MARK = "hawser's library: ";

/** @throws what a file or a process does that is gone, or is another user's */
export function isOwnProgram(file: string): boolean {
  return readFileSync(file).includes(MARK);
}
