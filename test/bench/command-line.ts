/** The rows of who types: the command line and the library beside `docker` and `ctr`, on one containerd with our shim. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { execa } from 'execa';
import { Containerd, Dockerd, makeImage, shimDir, top } from '../support/daemons.js';
import { runToEnd } from './run.js';
import { median, OURS, type Row, type Samples } from './statistics.js';

const WARM_UP = 2;
const IMAGE = 'docker.io/library/bench:latest';
const PEERS = ['docker', 'ctr'];

/** Who is asked for something, by its column. */
type Commands = Readonly<Record<string, readonly string[]>>;

/** Ticks of a hundredth of a second, of all children that have ended. */
function childrenTicks(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return Number(fields[13]) + Number(fields[14]);
}

/**
 * What each takes until it has ended, in turns: in time, which is the neighbours' too, and on average in processor time.
 *
 * @param commands by column; `NUMBER` in them is another number each time
 */
async function timed(
  what: string,
  rounds: number,
  commands: Commands,
  env: Env,
  say: Say,
): Promise<{ time: Samples; cpu: Samples }> {
  const samples: Record<string, number[]> = Object.fromEntries(Object.keys(commands).map((column) => [column, []]));
  const ticks: Record<string, number> = {};
  for (let i = -WARM_UP; i < rounds; i++) {
    say(`${what}: ${i + WARM_UP + 1} of ${rounds + WARM_UP}`);
    for (const [column, words] of Object.entries(commands)) {
      const command = words.map((word) => word.replace('NUMBER', String(i + WARM_UP)));
      const [from, before] = [performance.now(), childrenTicks()];
      await runToEnd(command, { env });
      if (i < 0) continue;
      samples[column]!.push(performance.now() - from);
      ticks[column] = (ticks[column] ?? 0) + childrenTicks() - before;
    }
  }
  const cpu = Object.entries(ticks).map(([column, sum]) => [column, [(sum * 10) / rounds]] as const);
  return { time: samples, cpu: Object.fromEntries(cpu) };
}

type Env = Record<string, string>;
type Say = (text: string) => void;

/** Runs commands of three command lines. */
export async function commandLine(rounds: number, say: Say): Promise<Row[]> {
  const containerd = new Containerd(shimDir);
  const dockerd = new Dockerd(containerd);
  try {
    await containerd.start();
    await dockerd.start();
    await dockerd.importImage(containerd.rootfs, 'bench');
    const archive = await makeImage(containerd.dir, containerd.rootfs, IMAGE);
    await containerd.ctr(['images', 'import', archive]);
    const [ctr, ctrArgs] = containerd.command([]);
    const [docker, dockerArgs] = dockerd.command([]);
    const hawser = join(top, 'bin/hawser');
    const env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: containerd.dir,
      CONTAINERD_ADDRESS: containerd.socket,
      CONTAINERD_NAMESPACE: containerd.namespace,
      CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1',
      HAWSER_DATA: join(containerd.dir, 'cli'),
    };
    // Each has a container to list.
    await execa(hawser, ['run', '-d', '--network', 'none', IMAGE, 'sleep', '100000'], { env, extendEnv: false });
    await dockerd.docker(['run', '-d', '--network', 'none', 'bench', 'sleep', '100000']);
    const rows: readonly (readonly [string, Commands])[] = [
      ['--version', { [OURS]: [hawser, '--version'], docker: [docker, '--version'], ctr: [ctr, '--version'] }],
      ['ps', { [OURS]: [hawser, 'ps'], docker: [docker, ...dockerArgs, 'ps'], ctr: [ctr, ...ctrArgs, 'tasks', 'ls'] }],
      [
        'run --rm IMAGE true',
        {
          [OURS]: [hawser, 'run', '--rm', '--network', 'none', IMAGE, 'true'],
          docker: [docker, ...dockerArgs, 'run', '--rm', '--network', 'none', 'bench', 'true'],
          ctr: [ctr, ...ctrArgs, 'run', '--rm', IMAGE, 'bench-NUMBER', 'true'],
        },
      ],
    ];
    const goals: Readonly<Record<string, Row['goal']>> = {
      '--version': { most: 15 },
      ps: { most: 60 },
    };
    const found: Row[] = [];
    for (const [name, commands] of rows) {
      const { time, cpu } = await timed(name, rounds, commands, env, say);
      // ctr makes less of a container, and is told beside docker, with which a user compares.
      const goal = goals[name] ?? { most: Math.round(median(time.docker ?? [])) };
      found.push({ name, unit: 'ms', samples: time, peers: PEERS, goal });
      found.push({ name: `CPU of ${name}`, unit: 'ms', samples: cpu, peers: PEERS });
    }
    return [...found, ...(await library(rounds, env, say))];
  } finally {
    await dockerd.cleanUp();
    await containerd.cleanUp();
  }
}

/** What a program waits for, and has in memory, that imports the client's library, and then also asks for its containers. */
async function library(rounds: number, env: Env, say: Say): Promise<Row[]> {
  const script = `
    const memory = process.memoryUsage.rss();
    const from = performance.now();
    const { Client } = await import(${JSON.stringify(join(top, 'dist/client/index.js'))});
    const imported = [performance.now() - from, process.memoryUsage.rss() - memory];
    const client = await Client.connect();
    await client.containers();
    console.log(JSON.stringify([...imported, performance.now() - from, process.memoryUsage.rss() - memory]));
    client.close();`;
  const found: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let i = -WARM_UP; i < rounds; i++) {
    say(`import of hawser/client: ${i + WARM_UP + 1} of ${rounds + WARM_UP}`);
    const { stdout } = await execa(process.execPath, ['--input-type=module', '-e', script], { env, extendEnv: false });
    const values = JSON.parse(stdout) as [number, number, number, number];
    if (i >= 0) values.forEach((value, n) => found[n]!.push(n % 2 === 0 ? value : value / 1e6));
  }
  const row = (name: string, unit: string, n: number, most?: number): Row => ({
    name,
    unit,
    samples: { [OURS]: found[n]! },
    peers: PEERS,
    ...(most === undefined ? {} : { goal: { most } }),
  });
  return [
    row("import 'hawser/client'", 'ms', 0, 60),
    row('memory for that', 'MB', 1, 20),
    row('import, connect, list', 'ms', 2),
    row('memory for that', 'MB', 3),
  ];
}
