/**
 * `make soak-gc N=5000`: so many snapshots by hawserd, most of them layers of images that are pulled, removed and collected at the same
 * time; no name may lose its files. DAEMON=/usr/bin/containerd does the same to another daemon, for comparison.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Containerd, shimDir, top } from '../support/daemons.js';
import { churn } from '../support/churn.js';

const TOTAL = Number(process.argv[2] ?? 2000);
const daemon = new Containerd(shimDir, process.env.DAEMON ?? join(top, 'bin/hawserd'));

/** Entries in directories of this name anywhere below the daemon's root. */
function entries(name: string): number {
  const dirs = readdirSync(daemon.root, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name === name,
  );
  return dirs.reduce((sum, { parentPath }) => sum + readdirSync(join(parentPath, name)).length, 0);
}

try {
  await daemon.start();
  const from = performance.now();
  const { snapshots, pulls, removed, collections, lost, failed } = await churn({
    socket: daemon.socket,
    snapshots: TOTAL,
    pausesMs: 5,
  });
  const seconds = (performance.now() - from) / 1000;
  console.log(
    `${snapshots} snapshots, ${pulls} pulls, ${removed} images removed, ${collections} collections in ${seconds.toFixed(0)} s; ${lost.length} lost, ${failed.length} calls failed; ${entries('trash')} left in the trash`,
  );
  for (const text of [...lost, ...failed].slice(0, 5)) console.log(`  ${text}`);
  assert.deepEqual([lost.length, failed.length, entries('trash')], [0, 0, 0]);
} finally {
  await daemon.cleanUp();
}
