/** What the daemons log while the built shim serves: nothing that the stock Go shim does not also cause. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Containerd, Dockerd, shimDir, stockDir, until, warnings } from '../support/daemons.js';

/** The same things done with either shim: ordinary use, and ordinary mishaps. */
async function use(containerd: Containerd, dockerd: Dockerd): Promise<void> {
  await containerd.run('plain', ['/bin/sh', '-c', 'echo hello; exit 3'], { reject: false });
  await containerd.run('missing', ['/bin/nothing-here'], { reject: false });
  await containerd.ctr(['containers', 'rm', 'missing'], { reject: false });
  await containerd.ctr(['run', '-d', '--rootfs', containerd.rootfs, 'background', '/bin/sleep', '1000']);
  await containerd.ctr(['tasks', 'exec', '--exec-id', 'e1', 'background', '/bin/true']);
  await containerd.ctr(['tasks', 'exec', '--exec-id', 'e2', 'background', '/bin/nothing-here'], { reject: false });
  await containerd.ctr(['tasks', 'pause', 'background']);
  await containerd.ctr(['tasks', 'resume', 'background']);
  await containerd.ctr(['tasks', 'metrics', 'background']);
  await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', 'background']);
  await until('it to stop', async () => (await containerd.ctr(['tasks', 'ls'])).stdout.includes('STOPPED'));
  await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', 'background'], { reject: false });
  await containerd.ctr(['tasks', 'rm', 'background']);
  await containerd.ctr(['containers', 'rm', 'background']);

  await dockerd.docker(['run', '--rm', 'busybox:test', 'echo', 'hello']);
  await dockerd.docker(['run', '--rm', 'busybox:test', 'no-such-command'], { reject: false });
  await dockerd.docker(['run', '-d', '--name', 'worker', 'busybox:test', 'sleep', '1000']);
  await dockerd.docker(['exec', 'worker', 'echo', 'hello']);
  await dockerd.docker(['exec', 'worker', 'no-such-command'], { reject: false });
  await dockerd.docker(['pause', 'worker']);
  await dockerd.docker(['unpause', 'worker']);
  await dockerd.docker(['restart', '-t', '0', 'worker']);
  await dockerd.docker(['kill', 'worker']);
  await dockerd.docker(['rm', 'worker']);
}

async function logsWith(shims: string): Promise<{ containerd: string[]; dockerd: string[] }> {
  const containerd = await new Containerd(shims).start();
  try {
    const dockerd = await new Dockerd(containerd).start();
    try {
      await dockerd.importImage(containerd.rootfs, 'busybox:test');
      await use(containerd, dockerd);
      await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
      return { containerd: warnings(containerd.logText()), dockerd: warnings(dockerd.logText()) };
    } finally {
      await dockerd.cleanUp();
    }
  } finally {
    await containerd.cleanUp();
  }
}

test("containerd and dockerd warn of nothing that they don't warn of with the stock shim", async () => {
  const stock = await logsWith(stockDir);
  const ours = await logsWith(shimDir);
  assert.ok(stock.containerd.length > 0, 'the stock run is one to compare with');
  assert.deepEqual(
    ours.containerd.filter((line) => !stock.containerd.includes(line)),
    [],
  );
  assert.deepEqual(
    ours.dockerd.filter((line) => !stock.dockerd.includes(line)),
    [],
  );
});
