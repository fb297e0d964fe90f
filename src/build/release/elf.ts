/** What ELF files take of the C library. */
import { execFileSync } from 'node:child_process';

/** The libraries that a program, or a shared object, names; none where it is linked statically. */
export function neededLibraries(file: string): string[] {
  return [...readelf('-d', file).matchAll(/\(NEEDED\).*\[([^\]]+)\]/g)].map(([, name = '']) => name);
}

/** The newest version of a family of symbols, such as GLIBC or GLIBCXX, that it takes: `2.34`; undefined where it takes none. */
export function newestSymbol(file: string, family: string): string | undefined {
  const found = [...readelf('-V', file).matchAll(new RegExp(`Name: ${family}_([0-9.]+)`, 'g'))];
  return newest(found.map(([, version = '']) => version));
}

/** Of versions such as 2.4 and 2.34. */
export function newest(versions: readonly (string | undefined)[]): string | undefined {
  const collator = new Intl.Collator('en', { numeric: true });
  return versions
    .filter((one) => one !== undefined)
    .sort((a, b) => collator.compare(a, b))
    .at(-1);
}

/** readelf of any machine reads files for all others. */
function readelf(option: string, file: string): string {
  return execFileSync('readelf', ['-W', option, file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
}
