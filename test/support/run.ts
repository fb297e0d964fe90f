/** `make run`: hawserd launches the built shim, and a container says hello through it. hawser is the client, and shows where the time went. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Containerd, shimDir, top } from './daemons.js';

const hawserd = await new Containerd(shimDir, join(top, 'bin/hawserd')).start();
try {
  const hawser = join(top, 'bin/hawser');
  const env = {
    ...process.env,
    CONTAINERD_ADDRESS: hawserd.socket,
    CONTAINERD_NAMESPACE: hawserd.namespace,
    HAWSER_DATA: join(hawserd.dir, 'cli'),
    // Nothing of the machine's network is changed for a greeting.
    HAWSER_NETWORK: 'none',
  };
  const run = (...args: string[]): number => {
    const { status, error } = spawnSync(hawser, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
    if (error) throw error;
    return status ?? 1;
  };
  run(
    'version',
    '--format',
    `hawserd {{.Server.Version}} serves ${hawserd.socket} and launches ${shimDir}/containerd-shim-runc-v2`,
  );
  const script = 'echo "Hello from a container. My pid is $$, my shim and my daemon are Hawser."';
  console.log(`hawser trace --rootfs ${hawserd.rootfs} /bin/sh -c '${script}'`);
  process.exitCode = run('trace', '--rootfs', hawserd.rootfs, '/bin/sh', '-c', script);
} finally {
  await hawserd.cleanUp();
}
