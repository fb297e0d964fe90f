/**
 * The programs are bundled, so that they need no package when they run; what their makers ask for goes with them. Each
 * bundle notes whose packages it has (`noteLicenses`), and `licenses.ts`, run by `make build`, prints the licenses of all.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Metafile } from 'esbuild';
import { top } from './version.js';

const notes = join(top, 'dist/bundled');

/**
 * @param bundle the file that was built, of dist
 * @param more packages that are in it, or beside it, without esbuild's knowing
 */
export function noteLicenses(bundle: string, metafile: Metafile, more: readonly string[] = []): void {
  // The last of them, where a package has packages of its own.
  const packages = Object.keys(metafile.inputs).flatMap(
    (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  );
  mkdirSync(notes, { recursive: true });
  writeFileSync(
    join(notes, `${bundle}.json`),
    JSON.stringify([...new Set([...packages, ...more.map((name) => `node_modules/${name}`)])]),
  );
}

/** @throws Error for a package that says nothing of its license */
function licenseOf(directory: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(top, directory, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = readdirSync(join(top, directory))
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .sort();
  if (license === undefined && files.length === 0)
    throw new Error(`${directory} has no license: it must not be bundled`);
  return [
    `${name} ${version}: ${license ?? 'see below'}`,
    ...files.map((file) => readFileSync(join(top, directory, file), 'utf8').trim()),
  ].join('\n\n');
}

/** The packages that any bundle has something of, as directories of the checkout. They are known once there are bundles. */
export function bundledPackages(): string[] {
  const packages = readdirSync(notes).flatMap(
    (file) => JSON.parse(readFileSync(join(notes, file), 'utf8')) as string[],
  );
  return [...new Set(packages)].sort();
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const texts = bundledPackages().map(licenseOf);
  process.stdout.write(
    ['What the programs of Hawser are bundled with, and under which licenses.', ...texts].join(
      `\n\n${'-'.repeat(80)}\n\n`,
    ) + '\n',
  );
}
