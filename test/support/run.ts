/** `make run`: hawserd launches the built shim, and a container says hello through it. ctr is the client. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Containerd, shimDir, top, until } from './daemons.js';

const hawserd = await new Containerd(shimDir, join(top, 'bin/hawserd')).start();
try {
  const version = /Server:\s+Version: +(\S+)/.exec((await hawserd.ctr(['version'])).stdout)?.[1] ?? '';
  console.log(`hawserd ${version} serves ${hawserd.socket} and launches ${shimDir}/containerd-shim-runc-v2`);
  const container = hawserd.run('hello', ['/bin/sh', '-c', 'echo "Hello from a container. My pid is $$, my shim and my daemon are Hawser."; sleep 1']);
  const [pid] = await until('the shim', async () => {
    const pids = await hawserd.shimPids();
    return pids.length > 0 && pids;
  });
  const [program] = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  console.log(`its shim is process ${pid}: ${basename(program ?? '')}`);
  console.log((await container).stdout);
} finally {
  await hawserd.cleanUp();
}
