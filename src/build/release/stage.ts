/** A tree as `make install` makes it, for a machine of any kind. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { arch as here, argv, env } from 'node:process';
import { top } from '../version.js';
import type { Machine } from './machines.js';
import { lmdbPin, part } from './parts.js';

/** What of the library is of one kind of machine, but for LMDB's part, which is fetched. */
const LIBRARY_PARTS = ['hawser_sys.node', 'hawser-stand-in', 'hawser-after'];
export const SHIM = 'containerd-shim-runc-v2';

/** Where `make native-ARCH` has put what is native. @throws Error where it hasn't */
export function nativeParts({ arch }: Machine): string {
  const place = join(top, 'dist/native', arch);
  for (const name of [...LIBRARY_PARTS, SHIM])
    if (!existsSync(join(place, name))) throw new Error(`${join(place, name)} is missing: run 'make native-${arch}'`);
  return place;
}

/**
 * @param prefix where it will be in the end, below `to`
 * @param options.hasPlace a copy of a program that is put elsewhere finds its way back to the prefix
 * @returns the library's directory, which has no Node and no compiled code yet
 */
export function stage(machine: Machine, prefix: string, to: string, { hasPlace }: { hasPlace: boolean }): string {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  execFileSync('make', ['-s', '-C', top, 'install', `PREFIX=${prefix}`, `DESTDIR=${to}`, 'MAKEFLAGS='], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: withoutMake(),
  });
  const library = join(to, prefix, 'lib/hawser');
  const native = nativeParts(machine);
  for (const name of LIBRARY_PARTS) put(join(native, name), join(library, name));
  const lmdb = join(library, 'lmdb.node');
  put(join(part(lmdbPin(machine)), 'node.napi.glibc.node'), lmdb);
  strip(machine, lmdb);
  place(join(native, SHIM), join(library, 'bin'), hasPlace ? join(prefix, 'lib/hawser') : undefined);
  if (!hasPlace) for (const name of ['hawser', 'hawserd']) put(join(top, 'npm', name), join(to, prefix, 'bin', name));
  rmSync(join(library, 'node'));
  for (const name of ['shim.cache', 'hawser.cache', 'hawser.ps.cache']) rmSync(join(library, name));
  return library;
}

function place(program: string, directory: string, library: string | undefined): void {
  if (library === undefined) put(program, join(directory, SHIM));
  else
    execFileSync(argv[0]!, ['--import', 'tsx', join(top, 'src/build/programs.ts'), library, directory, program], {
      cwd: top,
    });
}

/** A program, or what is loaded as one. */
export function put(from: string, to: string): void {
  rmSync(to, { force: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** Takes from a program, or a library, what only debuggers and linkers read. */
export function strip({ arch, triplet }: Machine, file: string): void {
  execFileSync(arch === here ? 'strip' : `${triplet}-strip`, ['--strip-unneeded', file]);
}

/** What one make tells another. */
function withoutMake(): NodeJS.ProcessEnv {
  const { MAKEFLAGS: _, MFLAGS: __, MAKELEVEL: ___, ...rest } = env;
  return rest;
}

/** Compiles the bundled shim and command line with the Node that the library has, and leaves the code beside them. */
export function compile(library: string): void {
  for (const script of ['code-cache.ts', 'code-cache-cli.ts'])
    execFileSync(argv[0]!, ['--import', 'tsx', join(top, 'src/build', script), library], {
      cwd: top,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
}

/** When the source was written: what is built twice from one commit is the same. */
export function sourceDate(): Date {
  const seconds =
    env.SOURCE_DATE_EPOCH ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: top, encoding: 'utf8' }).trim();
  return new Date(Number(seconds) * 1000);
}
