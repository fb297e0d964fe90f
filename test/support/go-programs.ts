/**
 * Programs in Go that the tests run: containerd's own, of a release that no Debian has, and ours on containerd's modules
 * (test/go). They are built once and kept in ~/.cache/hawser/go (HAWSER_GO_CACHE); nothing is installed. Where Go is
 * missing, what wants them is left out, and says so.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The newest containerd, with the bootstrap of 2.3 and later: daemon and shim tell each other protobuf when a shim starts. */
export const NEWEST_CONTAINERD = '2.4.2';

const cache = process.env.HAWSER_GO_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hawser/go');
const sources = fileURLToPath(new URL('../go', import.meta.url));
/** Of one build, with the download of its modules. */
const BUILD_MS = 20 * 60_000;
/** Programs that no test has asked for in this time are removed. */
const KEPT_MS = 14 * 24 * 3_600_000;
const MODULE = 'github.com/containerd/containerd/v2';

/** Why there are no programs in Go here; undefined where there are. */
export const withoutGo: string | undefined =
  spawnSync('go', ['version']).status === 0
    ? undefined
    : 'Go is not installed (apt-get install golang-go, or go.dev/dl)';

/** Runs `go`, without cgo: what it builds runs on any machine. */
function go(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): void {
  try {
    execFileSync('go', args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout: BUILD_MS,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off', ...env },
    });
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = stderr
      .split('\n')
      .filter((line) => !line.startsWith('go: downloading'))
      .join('\n')
      .trim();
    throw new Error(
      `go ${args.join(' ')} failed; it needs the module proxy (GOPROXY) for what it has not yet: ${said || message}`,
      { cause: error },
    );
  }
}

/** A directory of the cache, filled by `fill` unless it is there. */
function kept(name: string, fill: (dir: string) => void): string {
  const place = join(cache, name);
  if (!existsSync(place)) {
    mkdirSync(cache, { recursive: true });
    // Half-filled ones never get its name.
    const work = mkdtempSync(join(cache, 'tmp-'));
    try {
      const since = Date.now();
      fill(work);
      process.stderr.write(`${name} built with Go in ${Math.round((Date.now() - since) / 1000)} s\n`);
      // Unless somebody else was faster.
      if (!existsSync(place)) renameSync(work, place);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  utimesSync(place, new Date(), new Date());
  forget();
  return place;
}

function forget(): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    const used = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - used > KEPT_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** That of {@link containerdOf}, if it has been built; nothing is built. */
export function builtContainerd(version: string): string | undefined {
  const place = join(cache, `containerd@${version}`);
  return existsSync(place) ? place : undefined;
}

/** The directory of containerd, ctr and its own shim, of a release. */
export function containerdOf(version: string): string {
  return kept(`containerd@${version}`, (dir) => {
    const flags = [
      '-trimpath',
      '-tags',
      'no_btrfs,no_zfs,no_devmapper',
      '-ldflags',
      `-s -w -X ${MODULE}/version.Version=v${version}`,
    ];
    const programs = ['containerd', 'ctr', 'containerd-shim-runc-v2'].map(
      (name) => `${MODULE}/cmd/${name}@v${version}`,
    );
    go(['install', ...flags, ...programs], dir, { GOBIN: dir });
  });
}

/** The path of a program of ours, from test/go/NAME, which must be as gofmt and `go vet` want it. */
export function goProgram(name: string): string {
  const source = join(sources, name);
  const hash = createHash('sha256').update(execFileSync('go', ['version']));
  for (const file of readdirSync(source).sort()) hash.update(`${file}\n`).update(readFileSync(join(source, file)));
  const dir = kept(`${name}-${hash.digest('hex').slice(0, 16)}`, (place) => {
    const unformatted = execFileSync('gofmt', ['-l', source], { encoding: 'utf8' });
    if (unformatted !== '') throw new Error(`gofmt would change ${unformatted.trim()}; run gofmt -w ${source}`);
    go(['vet', '.'], source);
    go(['build', '-trimpath', '-ldflags', '-s -w', '-o', join(place, name), '.'], source);
  });
  return join(dir, name);
}
