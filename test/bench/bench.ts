/**
 * `make bench`: the built shim beside the Go shim, Debian's and the newest, and beside bare runc, in one run, taking turns. What is
 * counted is counted by cgroup: everything that a shim has started, whatever it is called, also in the background and afterwards.
 * Times are of this machine at this moment; only the ratios, which are to the better of the Go shims, say something elsewhere.
 *
 *   ROUNDS=20       samples of most rows
 *   ONLY=exec,wake  these rows only; an unknown name says which there are
 *   PEER=PROGRAM    another shim in the Go shims' place; how it wants to be started is found by trying
 *   DENSITY=1,10    numbers of shims whose memory is looked at (1,10,50,200)
 *   EXECS=500       execs whose memory must come back
 */
import { loadavg, cpus, release } from 'node:os';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shimDir, stockDir, top } from '../support/daemons.js';
import { containerdOf, NEWEST_CONTAINERD, withoutGo } from '../support/go-programs.js';
import { copyInPlace, isolated, mountEmpty, type Place } from './isolate.js';
import { Lab } from './lab.js';
import { commandLine } from './command-line.js';
import * as lives from './lives.js';
import * as memory from './memory.js';
import * as output from './output.js';
import { json, missed, svg, table } from './report.js';
import { polled } from './polled.js';
import * as running from './running.js';
import { Shim } from './shim.js';
import { OURS, type Row } from './statistics.js';
import { Turns } from './turns.js';
import { underContainerd } from './under-containerd.js';

const PROGRAM = 'containerd-shim-runc-v2';

function numberIn(name: string, otherwise: number): number {
  const value = Number(process.env[name] || otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name}=${process.env[name]}: a number from 1 on`);
  return value;
}

const ROUNDS = numberIn('ROUNDS', 20);
const EXECS = numberIn('EXECS', 500);
const DENSITY = (process.env.DENSITY || '1,10,50,200').split(',').map(Number);

type Part = (turns: Turns, place: { logs: string; cgroup: string }) => Promise<Row[]>;
const PARTS: Record<string, Part> = {
  first: lives.first,
  apart: lives.apart,
  newer: lives.newer,
  next: lives.next,
  sixteen: lives.sixteen,
  cpu: lives.cpu,
  exit: running.exit,
  exec: running.execRow,
  sleeping: running.execAfterRest,
  wake: running.wake,
  polled,
  ctr: async (turns, { cgroup }) => {
    const stock = turns.shims.find(({ binary }) => binary === join(stockDir, PROGRAM));
    return stock ? underContainerd(turns, `${cgroup}/ctr`, stock.name) : [];
  },
  cli: ({ rounds, say }) => commandLine(rounds, say),
  fifo: (turns, { logs }) => output.fifo(turns, logs),
  file: (turns, { logs }) => output.file(turns, logs),
  terminal: (turns, { logs }) => output.terminal(turns, logs),
  calls: running.calls,
  density: (turns) => memory.density(turns, DENSITY),
  growth: (turns) => memory.growth(turns, EXECS),
};

function chosenParts(): [string, Part][] {
  const only = (process.env.ONLY || '').split(',').filter(Boolean);
  const unknown = only.filter((name) => !Object.hasOwn(PARTS, name));
  if (unknown.length > 0)
    throw new Error(`ONLY: no row is called ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  return Object.entries(PARTS).filter(([name]) => only.length === 0 || only.includes(name));
}

const say = (text: string): void =>
  void process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : text && `${text}\n`);

/** Ours, and what it is compared with; and what there is not, in a sentence. */
function shimsFor(lab: Lab, cgroup: string): { shims: Shim[]; missing: string[] } {
  const make = (name: string, binary: string): Shim =>
    new Shim(lab, name, binary, `${cgroup}/${name.replaceAll(' ', '-')}`);
  const ours = make(OURS, join(shimDir, PROGRAM));
  if (process.env.PEER) return { shims: [ours, make('peer', process.env.PEER)], missing: [] };
  const debian = make('Go 1.6', join(stockDir, PROGRAM));
  if (withoutGo) return { shims: [ours, debian], missing: [`The newest Go shim is left out: ${withoutGo}.`] };
  say(`building containerd ${NEWEST_CONTAINERD}, once`);
  return { shims: [ours, debian, make('Go 2.4', join(containerdOf(NEWEST_CONTAINERD), PROGRAM))], missing: [] };
}

async function bench({ cgroup, directory }: Place): Promise<void> {
  const parts = chosenParts();
  mountEmpty('/run');
  const lab = await new Lab(directory, '/run/bench').open();
  const { shims, missing } = shimsFor(lab, cgroup);
  const logs = join(directory, 'logs');
  mkdirSync(logs);
  mountEmpty(logs);
  for (const { library } of shims.slice(0, 1)) if (library) copyInPlace(join(library, 'node'), join(directory, 'node'));
  // Ours is started as the machine's own daemon does it, and in a row of its own as newer ones do.
  for (const shim of shims) await shim.findDialect(shim.name === OURS ? ['plain'] : ['params', 'plain']);
  const told = shims.map(({ name, version, dialect }) => `${name} is ${version}, started with ${dialect}`);
  const turns = new Turns(lab, shims, ROUNDS, say);
  const loadBefore = loadavg();
  const rows: Row[] = [];
  for (const [, part] of parts) rows.push(...(await part(turns, { logs, cgroup })));
  say('');
  report(rows, turns, loadBefore, [...told, ...missing]);
  lab.close();
  if (turns.leftOut.length > 0) process.exitCode = 1;
}

/** The rows that are beside somebody else than shims, by who that is. */
function beside(rows: readonly Row[]): [readonly string[], Row[]][] {
  const found: [readonly string[], Row[]][] = [];
  for (const row of rows) {
    const { peers } = row;
    if (peers === undefined) continue;
    const same = found.find(([others]) => others.join() === peers.join());
    if (same) same[1].push(row);
    else found.push([peers, [row]]);
  }
  return found;
}

function report(rows: readonly Row[], { shims, leftOut }: Turns, loadBefore: number[], remarks: string[]): void {
  const names = shims.map(({ name }) => name);
  const title = `hawser beside ${names.slice(1).join(' and ')}, ${ROUNDS} rounds: medians`;
  const ofShims = rows.filter(({ peers }) => peers === undefined);
  if (ofShims.length > 0) console.log(`${title}\n\n${table(ofShims, names)}\n`);
  for (const [peers, some] of beside(rows))
    console.log(`beside ${peers.join(' and ')}\n\n${table(some, [OURS, ...peers])}\n`);
  for (const remark of remarks) console.log(remark);
  for (const what of leftOut) console.log(`left out: ${what}`);
  const about = {
    title,
    date: new Date().toISOString(),
    kernel: release(),
    cpus: cpus().length,
    node: process.version,
    shims: Object.fromEntries(shims.map(({ name, version }) => [name, version])),
    loadBefore,
    loadAfter: loadavg(),
    leftOut,
  };
  const dir = join(top, 'dist/bench');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'bench.json'), json(rows, about));
  const plotted = rows.filter(({ name }) => !name.startsWith('growth'));
  writeFileSync(join(dir, 'bench.svg'), svg(plotted, `${title}; ratio, log scale; dashed: to reach`));
  console.log(`\n${join(dir, 'bench.json')}\n${join(dir, 'bench.svg')}`);
  if (missed(rows).length > 0) console.log(`\nnot reached: ${missed(rows).join(', ')}`);
}

await isolated(bench);
