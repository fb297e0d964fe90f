/**
 * Programs in Go that no Debian has yet: containerd's own, built from its module. They are built once and kept in
 * ~/.cache/hawser/go (HAWSER_GO_CACHE); nothing is installed. Where Go is missing, what wants them is left out, and says so.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The newest containerd, with the bootstrap of 2.3 and later: daemon and shim tell each other protobuf when a shim starts. */
export const NEWEST_CONTAINERD = '2.4.2';

const cache = process.env.HAWSER_GO_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hawser/go');
/** Of one build, with the download of its modules. */
const BUILD_MS = 20 * 60_000;
const MODULE = 'github.com/containerd/containerd/v2';

/** Why there are no programs in Go here; undefined where there are. */
export const withoutGo: string | undefined =
  spawnSync('go', ['version']).status === 0
    ? undefined
    : 'Go is not installed (apt-get install golang-go, or go.dev/dl)';

/** That of {@link containerdOf}, if it has been built; nothing is built. */
export function builtContainerd(version: string): string | undefined {
  const place = join(cache, `containerd@${version}`);
  return existsSync(place) ? place : undefined;
}

/** The directory of containerd, ctr and its own shim, of a release. */
export function containerdOf(version: string): string {
  const place = join(cache, `containerd@${version}`);
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  // Half-filled ones never get its name.
  const work = mkdtempSync(join(cache, 'tmp-'));
  try {
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
    execFileSync('go', ['install', ...flags, ...programs], {
      cwd: work,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout: BUILD_MS,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off', GOBIN: work },
    });
    renameSync(work, place);
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = stderr
      .split('\n')
      .filter((line) => !line.startsWith('go: downloading'))
      .join('\n')
      .trim();
    throw new Error(`containerd ${version} cannot be built; it needs the module proxy (GOPROXY): ${said || message}`, {
      cause: error,
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return place;
}
