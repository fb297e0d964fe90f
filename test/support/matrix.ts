/**
 * Runs the tests against every pair of daemon and runtime that makes sense: the machine's own ones, and those of newer
 * Debian suites (packages.sh), and the newest containerd (go-programs.ts). Prints a table; exits with 1 when a cell is red.
 *
 *   matrix.ts [--small] [--list] [CELL…]      a cell, or the beginning of its name: containerd-2.1/runc-1.3, docker
 */
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { execa, execaSync } from 'execa';
import { AGAIN, atTheEnd, hasTimeFor, LANES } from './ci.js';
import { containerdOf, NEWEST_CONTAINERD, withoutGo } from './go-programs.js';

const top = fileURLToPath(new URL('../..', import.meta.url));
/** The slowest cell takes two minutes where nothing else runs. */
const CELL_MS = 20 * 60_000;

/** A program, here or in another suite. */
interface Program {
  package: string;
  /** Undefined for the machine's own. */
  suite?: string;
  /** A release that is built from its module in Go. */
  release?: string;
  /** Where its programs lie, and its version; set by provide(). */
  dir?: string;
  version?: string;
}

const programs = {
  containerdOld: { package: 'containerd' },
  containerdMiddle: { package: 'containerd', suite: 'trixie' },
  containerdNew: { package: 'containerd', suite: 'forky' },
  containerdNewest: { package: 'containerd', release: NEWEST_CONTAINERD },
  dockerOld: { package: 'docker' },
  dockerMiddle: { package: 'docker', suite: 'trixie' },
  dockerNew: { package: 'docker', suite: 'forky' },
  runcOld: { package: 'runc' },
  runcNew: { package: 'runc', suite: 'forky' },
  crun: { package: 'crun', suite: 'trixie' },
} satisfies Record<string, Program>;

interface Cell {
  files: string[];
  containerd?: Program;
  docker?: Program;
  runtime: Program;
  /** Our own daemon takes containerd's place; of `containerd` it has the client and the stock shim. */
  hawserd?: boolean;
  /** Among those that `make test` runs. */
  small?: boolean;
}

function cells(): Cell[] {
  const {
    containerdOld,
    containerdMiddle,
    containerdNew,
    containerdNewest,
    dockerOld,
    dockerMiddle,
    dockerNew,
    runcOld,
    runcNew,
    crun,
  } = programs;
  const runtimes = [runcOld, runcNew, crun];
  const onContainerd = [containerdOld, containerdMiddle, containerdNew].flatMap((containerd) =>
    runtimes.map((runtime): Cell => ({
      files: ['test/e2e/containerd.test.ts', 'test/e2e/pod.test.ts', 'test/e2e/cri.test.ts'],
      containerd,
      runtime,
      small:
        (containerd === containerdMiddle && runtime === crun) || (containerd === containerdNew && runtime === runcNew),
    })),
  );
  const onNewest: Cell = { files: onContainerd[0]!.files, containerd: containerdNewest, runtime: runcNew, small: true };
  const pairs = [
    [dockerOld, containerdOld],
    [dockerMiddle, containerdMiddle],
    [dockerNew, containerdNew],
  ] as const;
  const onDocker = pairs.flatMap(([docker, containerd]) =>
    runtimes.map((runtime): Cell => ({
      files: ['test/e2e/docker.test.ts', 'test/e2e/docker-options.test.ts', 'test/e2e/logs.test.ts'],
      containerd,
      docker,
      runtime,
      small: docker !== dockerOld && runtime === runcNew,
    })),
  );
  const ownClients = [containerdOld, containerdNew].map((containerd): Cell => ({
    files: ['containerd', 'pod', 'checkpoint', 'logging'].map((name) => `test/e2e/${name}.test.ts`),
    containerd,
    runtime: runcOld,
    hawserd: true,
    small: true,
  }));
  const ownDockers = [dockerOld, dockerMiddle, dockerNew].map((docker): Cell => ({
    // `make test-e2e` has the machine's own dockerd do it.
    files: ['docker', 'logs', ...(docker === dockerOld ? [] : ['compose'])].map((name) => `test/e2e/${name}.test.ts`),
    docker,
    runtime: runcOld,
    hawserd: true,
    small: docker !== dockerNew,
  }));
  const alone = [runcNew, crun].map((runtime): Cell => ({ files: ['test/shim/*.test.ts'], runtime }));
  return [...onContainerd, onNewest, ...onDocker, ...ownClients, ...ownDockers, ...alone];
}

/** Fetches what isn't the machine's own, and finds out the version. */
async function provide(program: Program): Promise<void> {
  if (program.version !== undefined) return;
  if (program.release !== undefined) {
    Object.assign(program, { version: program.release, dir: containerdOf(program.release) });
    return;
  }
  if (program.suite === undefined) {
    const command = program.package === 'docker' ? 'dockerd' : program.package;
    program.version = /\d+\.\d+\.\d+\S*/.exec(execaSync(command, ['--version']).stdout)?.[0] ?? 'unknown';
    return;
  }
  const { stdout } = await execa('sh', [join(top, 'test/support/packages.sh'), `${program.package}@${program.suite}`], {
    stderr: 'inherit',
  });
  const [, version, dir] = stdout.trim().split(' ');
  Object.assign(program, { version, dir });
}

/** `containerd-2.1`; of docker only the first number means something. */
function label({ package: name, version = '' }: Program): string {
  const numbers = version.replace(/^\d+:/, '').split('.');
  const isCounted = name === 'docker' && Number(numbers[0]) > 20;
  return name === 'crun' ? name : `${name}-${numbers.slice(0, isCounted ? 1 : 2).join('.')}`;
}

function nameOf({ docker, containerd, hawserd, runtime }: Cell): string {
  const peer = docker ? label(docker) : containerd ? label(containerd) : 'shim';
  return `${hawserd ? `hawserd+${peer.replace('containerd', 'ctr')}` : peer}/${label(runtime)}`;
}

function environment({ containerd, docker, hawserd, runtime }: Cell): Record<string, string> {
  const env: Record<string, string> = {};
  if (hawserd) env.HAWSER_TEST_DAEMON = 'hawserd';
  if (containerd?.dir) {
    env.HAWSER_TEST_CONTAINERD = join(containerd.dir, 'containerd');
    env.HAWSER_TEST_CTR = join(containerd.dir, 'ctr');
    env.HAWSER_TEST_STOCK = containerd.dir;
  }
  if (docker?.dir) {
    env.HAWSER_TEST_DOCKERD = join(docker.dir, 'dockerd');
    env.HAWSER_TEST_DOCKER = join(docker.dir, 'docker');
  }
  if (runtime.dir) env.HAWSER_TEST_RUNC = join(runtime.dir, runtime.package);
  return env;
}

interface Result {
  name: string;
  seconds: number;
  /** Of what failed; empty when the cell is green. */
  causes: string[];
  tests: number;
}

/** Groups of the cells that run, which don't hear the terminal's Ctrl-C; the tests then take their daemons down. */
const groups = new Set<number>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const group of groups) process.kill(-group, signal);
    process.exit(130);
  });

async function run(cell: Cell, name: string, logs: string): Promise<Result> {
  const file = join(logs, name.replaceAll('/', '_'));
  const log = createWriteStream(`${file}.log`);
  const since = Date.now();
  const child = spawn(
    'sh',
    [
      '-c',
      `exec node --import tsx --test --test-concurrency=1 --test-reporter=tap --test-reporter-destination=${file}.tap --test-reporter=spec --test-reporter-destination=stdout ${cell.files.join(' ')}`,
    ],
    {
      cwd: top,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment(cell) },
    },
  );
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    process.kill(-child.pid!, 'SIGKILL');
  }, CELL_MS);
  groups.add(child.pid!);
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  groups.delete(child.pid!);
  const tap = readFileSync(`${file}.tap`, 'utf8');
  const causes = failures(tap);
  if (isLate) causes.push(`not done after ${CELL_MS / 60_000} minutes`);
  if (status !== 0 && causes.length === 0) causes.push(`exit status ${status}, see ${file}.log`);
  const result = {
    name,
    seconds: Math.round((Date.now() - since) / 1000),
    causes,
    tests: Number(/^# pass (\d+)/m.exec(tap)?.[1] ?? 0),
  };
  if (causes.length === 0 && result.tests === 0) causes.push(`no test ran, see ${file}.log`);
  return result;
}

/** `test name: its error`, of each test that failed, on one line. */
function failures(tap: string): string[] {
  return [...tap.matchAll(/^ *not ok \d+ - (.*)\n((?: .*\n)*)/gm)].map(([, name, details]) => {
    const error = /^ *error: (?:\|-)?((?:.|\n)*?)(?=^ *\w+:)/m.exec(details ?? '')?.[1] ?? '';
    return `${name}: ${error.replace(/\s+/g, ' ').trim().slice(0, 300)}`;
  });
}

const { values, positionals } = parseArgs({
  options: { small: { type: 'boolean' }, list: { type: 'boolean' } },
  allowPositionals: true,
});
const chosen = positionals.flatMap((word) => word.split(/[\s,]+/)).filter(Boolean);
const logs = mkdtempSync(join(tmpdir(), 'hawser-matrix-'));
mkdirSync(logs, { recursive: true });
const results: Result[] = [];
const wanted: { cell: Cell; name: string }[] = [];
let found = 0;

for (const cell of cells().filter(({ small }) => !values.small || small)) {
  const parts = [cell.containerd, cell.docker, cell.runtime].filter((part) => part !== undefined);
  const built = parts.find(({ release }) => release !== undefined);
  if (built && withoutGo !== undefined) {
    console.error(`${built.package} ${built.release} is left out: ${withoutGo}`);
    found++;
    continue;
  }
  try {
    for (const part of parts) await provide(part);
  } catch (error) {
    // Its name isn't known, so it may be one that was asked for.
    const name = parts.map(({ package: word, suite }) => `${word}@${suite ?? 'here'}`).join('/');
    results.push({ name, seconds: 0, tests: 0, causes: [`cannot be had: ${(error as Error).message.split('\n')[0]}`] });
    found++;
    continue;
  }
  const name = nameOf(cell);
  if (chosen.length > 0 && !chosen.some((word) => name.startsWith(word))) continue;
  found++;
  if (values.list) {
    console.log(`${name.padEnd(28)} ${parts.map(({ package: word, version }) => `${word} ${version}`).join(', ')}`);
    continue;
  }
  wanted.push({ cell, name });
}

/** Runs a cell, and once more where that is allowed. */
async function result({ cell, name }: { cell: Cell; name: string }): Promise<Result> {
  let tried = await run(cell, name, logs);
  if (tried.causes.length > 0 && AGAIN > 0) {
    console.error(`${name}: UNSTEADY, once more: ${tried.causes.join('; ')}`);
    const { causes } = tried;
    tried = await run(cell, name, logs);
    if (tried.causes.length === 0) atTheEnd(`UNSTEADY: ${name}\n${causes.join('\n')}`);
  }
  if (tried.causes.length > 0) atTheEnd(`FAILED: ${name}\n${tried.causes.join('\n')}`);
  console.error(`${name}: ${tried.causes.length === 0 ? 'green' : 'FAILED'} (${tried.seconds} s)`);
  return tried;
}

async function lane(): Promise<void> {
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift())
    if (hasTimeFor(next.name, 4)) results.push(await result(next));
}
// A cell is busier than a file.
await Promise.all(Array.from({ length: Math.ceil(LANES / 2) }, lane));

if (found === 0) {
  console.error(`no cell begins with ${chosen.join(' or ')}; --list shows them`);
  process.exitCode = 2;
} else if (!values.list) {
  console.log(`\n${'cell'.padEnd(28)} result`);
  for (const { name, seconds, causes, tests } of results) {
    console.log(
      `${name.padEnd(28)} ${causes.length === 0 ? `green   ${tests} tests, ${seconds} s` : `FAILED  ${causes[0]}`}`,
    );
    for (const cause of causes.slice(1)) console.log(`${''.padEnd(28)}         ${cause}`);
  }
  if (results.some(({ causes }) => causes.length > 0)) {
    console.log(`\nlogs: ${logs}`);
    process.exitCode = 1;
  }
}
