/** Shims that are made with hawser/shim, as their authors make them: a package with a dependency, a program and a link to it. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { shimDir, top } from './daemons.js';

/** The text of one of our examples. */
export function example(name: string): string {
  return readFileSync(join(top, 'src/shim/example', `${name}.ts`), 'utf8');
}

/** A directory outside of the repository with `hawser` in its node_modules. */
export function makePackage(dir: string): string {
  mkdirSync(join(dir, 'node_modules'), { recursive: true });
  symlinkSync(top, join(dir, 'node_modules/hawser'));
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ name: 'somebodys-shims', private: true, type: 'module', dependencies: { hawser: '*' } }),
  );
  return dir;
}

/**
 * Makes shims in a directory, beside our own one.
 *
 * @param sources the TypeScript of each, by the shim's NAME as in `containerd-shim-NAME-v1`
 * @returns the directory for containerd's PATH
 */
export function makeShims(dir: string, sources: Readonly<Record<string, string>>): string {
  makePackage(dir);
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  symlinkSync(join(shimDir, 'containerd-shim-runc-v2'), join(bin, 'containerd-shim-runc-v2'));
  for (const [name, source] of Object.entries(sources)) {
    const file = join(dir, `${name}.mjs`);
    writeFileSync(file, transformSync(source, { loader: 'ts', format: 'esm', target: 'node20' }).code, { mode: 0o755 });
    symlinkSync(file, join(bin, `containerd-shim-${name}-v1`));
  }
  return bin;
}
