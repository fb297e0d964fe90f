/** Files of processes and bundles, which may go while one looks. */
import { readFileSync } from 'node:fs';

/** A file's text; undefined when it cannot be read, or is gone by now. */
export function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
