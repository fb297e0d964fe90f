/**
 * How long a life takes under a containerd.service whose containers are scopes of systemd's, beside the shim that comes with containerd; and with
 * cgroups of runc's own making. Emulated, so that only ratios mean anything. ROUNDS says how often each shim has its turn.
 */
import { performance } from 'node:perf_hooks';
import { BOX, docker, IMAGE, makeRoot, nothingIsLeft, ok, SHIMS, useShim, type ShimKind } from './system.js';

const ROUNDS = Number(process.env.ROUNDS || 3);
/** Lives in each turn; of those before them the first boots a zygote. */
const LIVES = 5;
const WARM_UP = 2;

type Life = (id: string) => string[];

const ctr =
  (...flags: string[]): Life =>
  (id) => ['ctr', 'run', '--rm', ...flags.map((flag) => flag.replace('ID', id)), '--rootfs', BOX, id, '/bin/true'];

const LIVES_OF: Readonly<Record<string, Life>> = {
  'ctr run --rm, a scope of systemd': ctr('--runc-systemd-cgroup', '--cgroup', 'system.slice:bench:ID'),
  'ctr run --rm, cgroups of runc': ctr('--cgroup', '/bench/ID'),
  'docker run --rm, a scope of systemd': () => ['docker', 'run', '--rm', '--network', 'none', IMAGE, 'true'],
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

const took: Record<string, Partial<Record<ShimKind, number[]>>> = {};
let serial = 0;

function tell(): void {
  for (const [name, { hawser = [], go = [] }] of Object.entries(took)) {
    const [ours, theirs] = [median(hawser), median(go)];
    console.log(
      `${name.padEnd(38)} ${ours.toFixed(0).padStart(6)} ms ${theirs.toFixed(0).padStart(6)} ms with the Go shim, ${(ours / theirs).toFixed(2)}`,
    );
  }
}

for (let round = 0; round < ROUNDS; round++) {
  for (const kind of SHIMS) {
    await useShim(kind);
    makeRoot();
    docker('info');
    for (const [name, life] of Object.entries(LIVES_OF)) {
      const turn: number[] = [];
      for (let one = -WARM_UP; one < LIVES; one++) {
        const words = life(`times${serial++}`);
        const from = performance.now();
        ok(...words);
        if (one >= 0) turn.push(performance.now() - from);
      }
      ((took[name] ??= {})[kind] ??= []).push(...turn);
      console.log(`# ${kind}: ${name}: ${turn.map((ms) => ms.toFixed(0)).join(' ')} ms`);
    }
    await nothingIsLeft();
  }
  console.log(`after round ${round + 1} of ${ROUNDS}`);
  tell();
}
