/** The row of a real daemon: what its user waits for. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Containerd, stockDir } from '../support/daemons.js';
import { Cgroup } from './cgroup.js';
import { pause } from './lab.js';
import { OURS, type Row } from './statistics.js';
import type { Turns } from './turns.js';

const APART_MS = 400;
const WARM_UP = 2;

/**
 * `ctr run --rm` of /bin/true under the machine's containerd, with our shim and with its own.
 *
 * @param path of a cgroup for all of it
 * @param name the column of the daemon's own shim
 */
export async function underContainerd(turns: Turns, path: string, name: string): Promise<Row[]> {
  const samples: Record<string, number[]> = { [OURS]: [], [name]: [] };
  const cgroup = new Cgroup(path);
  const daemon = new Containerd(stockDir);
  const binaries = { [OURS]: turns.ours.binary, [name]: join(stockDir, 'containerd-shim-runc-v2') };
  await cgroup.inside(async () => {
    try {
      await daemon.start();
      for (let i = -WARM_UP; i < turns.rounds; i++) {
        turns.say(`ctr run --rm: ${i + WARM_UP + 1} of ${turns.rounds + WARM_UP}`);
        for (const [column, binary] of Object.entries(binaries)) {
          await pause(APART_MS);
          const id = `bench${i + WARM_UP}`;
          const flags = ['--runtime', binary, '--cgroup', `${cgroup.containers}/${id}`];
          const from = performance.now();
          await daemon.run(id, ['/bin/true'], { flags });
          if (i >= 0) samples[column]!.push(performance.now() - from);
        }
      }
    } finally {
      await daemon.cleanUp();
    }
  });
  return [{ name: 'ctr run --rm, one containerd', unit: 'ms', samples, goal: { ratio: 0.95 } }];
}
