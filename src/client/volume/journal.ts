/** What whoever has the lock of the volumes is about to do, on disk: who finds it there, with the lock free, finishes it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlessMissing } from './store.js';

const FILE = 'journal';

export interface Journal {
  /** Volumes that are to be removed unless a container has them: they were made for one, or went with one. */
  readonly unlessUsed: readonly string[];
  /** Complete copies, by their names in the staging directory, and the volumes that they are to be moved into. */
  readonly fills: readonly { readonly tree: string; readonly volume: string }[];
}

export const NOTHING: Journal = { unlessUsed: [], fills: [] };

export function readJournal(staging: string): Journal {
  const text = unlessMissing(() => readFileSync(join(staging, FILE), 'utf8'));
  return text === undefined ? NOTHING : (JSON.parse(text) as Journal);
}

/** It is there as a whole, or as it was before. */
export function writeJournal(staging: string, journal: Journal): void {
  const path = join(staging, FILE);
  writeFileSync(`${path}.new`, JSON.stringify(journal), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
