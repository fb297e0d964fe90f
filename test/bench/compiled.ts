/** Programs in C that a benchmark needs, built when they are needed first. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { top } from '../support/daemons.js';

const built = new Map<string, string>();

/** The path of the program of `NAME.c` beside this file; it goes when this process ends. */
export function compiled(name: string): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  const dir = mkdtempSync(join(tmpdir(), `hawser-${name}-`));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, name);
  execFileSync('cc', ['-std=gnu11', '-O2', '-o', path, join(top, 'test/bench', `${name}.c`)]);
  built.set(name, path);
  return path;
}
