/**
 * What goes into packages and was built by others: Node, and LMDB's native part, for machines of any kind. They come from npm,
 * each once, into a cache (HAWSER_PARTS, else ~/.cache/hawser/parts), and are what their pin says: `pins.json` for Node,
 * package-lock.json for the rest.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { top } from '../version.js';
import type { Machine } from './machines.js';

export interface Pin {
  name: string;
  version: string;
  /** Of the package's archive, as npm has it: `sha512-` and base64. */
  integrity: string;
}

const pins = JSON.parse(readFileSync(join(top, 'src/build/release/pins.json'), 'utf8')) as Record<
  string,
  Omit<Pin, 'name'>
>;

/** The Node that goes into what has one inside. */
export function nodePin({ arch }: Machine): Pin {
  return pinOf(`node-linux-${arch}`, pins[`node-linux-${arch}`]);
}

/** LMDB's part, of the version that the daemon is bundled with. */
export function lmdbPin({ arch }: Machine): Pin {
  const { packages } = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Omit<Pin, 'name'>>;
  };
  const name = `@lmdb/lmdb-linux-${arch}`;
  return pinOf(name, packages[`node_modules/${name}`]);
}

function pinOf(name: string, pin: Omit<Pin, 'name'> | undefined): Pin {
  if (pin === undefined) throw new Error(`${name} is not pinned to a version`);
  return { name, version: pin.version, integrity: pin.integrity };
}

/** Where downloads are kept. */
export function cache(): string {
  return env.HAWSER_PARTS ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hawser/parts');
}

/** The unpacked package, as a directory. @throws Error where it can't be had, or isn't what the pin says */
export function part({ name, version, integrity }: Pin): string {
  const place = join(cache(), `${name.replace('/', '+')}@${version}`);
  if (existsSync(place)) return place;
  mkdirSync(cache(), { recursive: true });
  const work = mkdtempSync(join(cache(), 'new-'));
  try {
    const { NODE_EXTRA_CA_CERTS: _, ...rest } = env;
    const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${version}`], {
      cwd: work,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: rest,
    }).trim();
    const archive = join(work, packed);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity)
      throw new Error(`${name}@${version} is not what was pinned: its archive is ${found}, and not ${integrity}`);
    execFileSync('tar', ['-C', work, '-xzf', archive]);
    // Another build may have been faster.
    if (!existsSync(place)) renameSync(join(work, 'package'), place);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return place;
}
