/**
 * reconnect.ts N [PER_SHIM]: how long hawserd takes to find N running containers again after SIGKILL, from its start until `ctr tasks ls`
 * shows all of them RUNNING. Each has a shim of its own unless PER_SHIM (50, for example) puts that many into one, which saves memory.
 */
import { execFileSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { Containerd, shimDir, top } from '../support/daemons.js';

const [count = 100, perShim = 1] = process.argv.slice(2).map(Number) as [number?, number?];
const hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(2);

async function running(): Promise<number> {
  const { stdout } = await hawserd.ctr(['tasks', 'ls'], { reject: false });
  return (stdout ?? '').split('\n').filter((line) => line.endsWith('RUNNING')).length;
}

try {
  await hawserd.start();
  let since = performance.now();
  for (let n = 0; n < count; n++) {
    const group =
      perShim > 1
        ? ['--annotation', `io.containerd.runc.v2.group=${hawserd.namespace}-${Math.floor(n / perShim)}`]
        : [];
    await hawserd.ctr([
      'run',
      '-d',
      '--null-io',
      ...group,
      '--rootfs',
      hawserd.rootfs,
      `c${n}`,
      '/bin/sleep',
      '100000',
    ]);
  }
  const shims = (await hawserd.shimPids()).length;
  console.log(`${count} containers in ${shims} shims, started in ${seconds(since)} s, ${await running()} RUNNING`);
  await hawserd.stop('SIGKILL');
  since = performance.now();
  await hawserd.start();
  const serving = seconds(since);
  while ((await running()) < count) await delay(20);
  const all = seconds(since);
  const rss = /VmRSS:\s+(\d+)/.exec(execFileSync('cat', [`/proc/${hawserd.pid}/status`], { encoding: 'utf8' }))?.[1];
  console.log(
    `after SIGKILL: serves in ${serving} s, all ${count} RUNNING in ${all} s from its start; memory ${Math.round(Number(rss) / 1024)} MB`,
  );
} finally {
  await hawserd.cleanUp();
}
