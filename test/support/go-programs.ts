/**
 * Programs in Go that the tests run: containerd's own, of a release that no Debian has, and ours on containerd's modules
 * (test/go). They are built once and kept in ~/.cache/hawser/go (HAWSER_GO_CACHE); nothing is installed. Where Go is
 * missing, what wants them is left out, and says so.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  type Dirent,
  utimesSync,
  writeFileSync,
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

/** Since 1.21, Go fetches the release that a module asks for. */
const OLDEST_MINOR = 21;

function whyWithoutGo(): string | undefined {
  const { status, stdout } = spawnSync('go', ['version'], { encoding: 'utf8' });
  if (status !== 0) return `Go is not installed (go.dev/dl; 1.${OLDEST_MINOR} or later)`;
  const minor = /\bgo1\.(\d+)/.exec(stdout)?.[1];
  return Number(minor) < OLDEST_MINOR ? `Go 1.${minor} is too old (go.dev/dl; 1.${OLDEST_MINOR} or later)` : undefined;
}

/** Why there are no programs in Go here; undefined where there are. */
export const withoutGo: string | undefined = whyWithoutGo();

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

/** Where packages of containerd's module of 2.x are in that of 1.7. */
const FORMER: readonly (readonly [RegExp, string])[] = [
  [/containerd\/v2\/client"/g, 'containerd"'],
  [/containerd\/v2\/core\/runtime\//g, 'containerd/runtime/'],
  [/containerd\/v2\/(core|pkg)\//g, 'containerd/'],
];

/** The sources of test/go/peer for the module of 1.7, with what is of its own in test/go/peer-1.7. */
function formerSources(tree: string): void {
  mkdirSync(tree);
  for (const file of readdirSync(join(sources, 'peer')).filter((name) => name.endsWith('.go') && name !== 'newer.go')) {
    const text = readFileSync(join(sources, 'peer', file), 'utf8');
    writeFileSync(
      join(tree, file),
      FORMER.reduce((former, [path, place]) => former.replaceAll(path, place), text),
    );
  }
  for (const file of readdirSync(join(sources, 'peer-1.7')))
    copyFileSync(join(sources, 'peer-1.7', file), join(tree, file));
}

/** The path of test/go/peer on the client module of 1.7. */
export function formerPeer(): string {
  const dir = kept(`peer-1.7-${hashOf('peer', 'peer-1.7')}`, (place) => {
    const tree = join(place, 'src');
    formerSources(tree);
    go(['vet', '.'], tree);
    build(tree, join(place, 'peer'));
    rmSync(tree, { recursive: true });
  });
  return join(dir, 'peer');
}

/**
 * nerdctl's program of the release that test/go/nerdctl names. Its module replaces one of its own by a directory that is not in it, and is therefore
 * built as part of another, which has a stand-in for that.
 */
export function nerdctlProgram(): string {
  const dir = kept(`nerdctl-${hashOf('nerdctl', 'nerdctl/tigron', 'nerdctl/tigron/tig')}`, (place) => {
    const tree = join(place, 'src');
    cpSync(join(sources, 'nerdctl'), tree, { recursive: true });
    // The many modules that are not named in go.mod are those that go.sum has.
    const flags = ['-mod=mod', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
    go(['build', ...flags, '-o', join(place, 'nerdctl'), 'github.com/containerd/nerdctl/v2/cmd/nerdctl'], tree);
    rmSync(tree, { recursive: true });
  });
  return join(dir, 'nerdctl');
}

function hashOf(...names: readonly string[]): string {
  const hash = createHash('sha256').update(execFileSync('go', ['version']));
  for (const name of names) {
    for (const { name: file } of filesIn(join(sources, name)))
      hash.update(`${name}/${file}\n`).update(readFileSync(join(sources, name, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

function filesIn(dir: string): Dirent[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function build(source: string, program: string): void {
  go(['build', '-trimpath', '-ldflags', '-s -w', '-o', program, '.'], source);
}

/** The path of a program of ours, from test/go/NAME, which must be as gofmt and `go vet` want it. */
export function goProgram(name: string): string {
  const source = join(sources, name);
  const dir = kept(`${name}-${hashOf(name)}`, (place) => {
    const unformatted = execFileSync('gofmt', ['-l', source], { encoding: 'utf8' });
    if (unformatted !== '') throw new Error(`gofmt would change ${unformatted.trim()}; run gofmt -w ${source}`);
    go(['vet', '.'], source);
    build(source, join(place, name));
  });
  return join(dir, name);
}
