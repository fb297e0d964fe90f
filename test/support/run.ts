/** `make run`: a private containerd launches the built shim, and a container says hello through it. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Containerd, shimDir, until } from './daemons.js';

const containerd = await new Containerd(shimDir).start();
try {
  console.log(`containerd ${/Version: +(\S+)/.exec((await containerd.ctr(['version'])).stdout)?.[1] ?? ''} launches ${shimDir}/containerd-shim-runc-v2`);
  const container = containerd.run('hello', ['/bin/sh', '-c', 'echo "Hello from a container. My pid is $$, my shim is Hawser."; sleep 1']);
  const [pid] = await until('the shim', async () => {
    const pids = await containerd.shimPids();
    return pids.length > 0 && pids;
  });
  const [program] = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  console.log(`its shim is process ${pid}: ${basename(program ?? '')}`);
  console.log((await container).stdout);
} finally {
  await containerd.cleanUp();
}
