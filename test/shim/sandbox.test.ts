/** The Sandbox service, with the answers of containerd 1.7's shim; HAWSER_TEST_SHIM may name that one. */
import assert from 'node:assert/strict';
import { ContainerdRuntimeSandboxV1Sandbox as Sandbox } from '../../src/api/full.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { fails, shimTest, STATUS, type Lab, type Shim } from '../support/shim.js';
import type { TestSpec } from '../support/spec.js';

const sandboxId = 'pod';

function member(spec: TestSpec): void {
  spec.annotations = { 'io.kubernetes.cri.sandbox-id': sandboxId };
}

async function sandboxIn(lab: Lab) {
  lab.bundle(sandboxId);
  const shim = await lab.shim(sandboxId);
  return { shim, sandbox: shim.client.service(Sandbox) };
}

async function ended(shim: Shim): Promise<void> {
  await eventually('the shim has ended', () => !isAlive(shim.pid));
}

shimTest('a sandbox is answered for without a container, and its stop is the end of the shim', async (lab) => {
  const { shim, sandbox } = await sandboxIn(lab);
  assert.deepEqual(
    {
      ...(await sandbox.CreateSandbox({
        sandboxId,
        bundlePath: lab.bundlePath(sandboxId),
        rootfs: [],
        netnsPath: '/n',
        annotations: { a: 'b' },
      })),
    },
    {},
  );
  const { pid, createdAt, spec } = await sandbox.StartSandbox({ sandboxId });
  assert.deepEqual([pid, createdAt, spec], [0, null, null]);
  const { platform } = await sandbox.Platform({ sandboxId });
  assert.deepEqual([platform!.os, platform!.architecture], ['linux', process.arch === 'x64' ? 'amd64' : process.arch]);
  const status = await sandbox.SandboxStatus({ sandboxId, verbose: true });
  assert.deepEqual(
    [status.sandboxId, status.pid, status.state, { ...status.info }, status.createdAt, status.extra],
    ['', 0, '', {}, null, null],
  );
  await sandbox.PingSandbox({ sandboxId });
  assert.equal((await sandbox.SandboxMetrics({ sandboxId })).metrics, null);
  const wait = await sandbox.WaitSandbox({ sandboxId });
  assert.deepEqual([wait.exitStatus, wait.exitedAt], [0, null], 'it does not wait');
  // The id is not looked at.
  await sandbox.StartSandbox({ sandboxId: 'another' });
  await sandbox.CreateSandbox({});
  await fails(sandbox.UpdateSandbox({ sandboxId }), Code.Unimplemented, /UpdateSandbox/);
  await sandbox.StopSandbox({ sandboxId, timeoutSecs: 5 });
  await ended(shim);
  await lab.assertNothingLeft();
});

shimTest('containers join a sandbox, and Shutdown is not its end while one is left', async (lab) => {
  const { shim, sandbox } = await sandboxIn(lab);
  await sandbox.CreateSandbox({ sandboxId });
  const task = await lab.task('a', undefined, { edit: member });
  assert.equal(task.shim.pid, shim.pid);
  await task.start();
  await sandbox.ShutdownSandbox({ sandboxId });
  assert.equal((await task.state()).status, STATUS.RUNNING);
  await task.kill(9);
  await task.wait();
  await task.delete();
  await sandbox.PingSandbox({ sandboxId });
  await task.shim.task.Shutdown({ id: 'a' });
  await ended(shim);
  await lab.assertNothingLeft();
});

// containerd 1.7's shim ends here; containerd 2.4 asks so on account of every container that it deletes.
shimTest('a sandbox stays when Shutdown is asked for a container of it', async (lab) => {
  const { shim, sandbox } = await sandboxIn(lab);
  await sandbox.CreateSandbox({ sandboxId });
  const task = await lab.task('a', undefined, { edit: member });
  await task.start();
  await task.kill(9);
  await task.wait();
  await task.delete();
  await task.shim.task.Shutdown({ id: 'a' });
  await sandbox.PingSandbox({ sandboxId });
  const again = await lab.task('b', undefined, { edit: member });
  assert.equal(again.shim.pid, shim.pid);
  await again.start();
  await again.kill(9);
  await again.wait();
  await again.delete();
  await again.shim.task.Shutdown({ id: 'b' });
  await sandbox.StopSandbox({ sandboxId, timeoutSecs: 5 });
  // As a client that stops and removes a sandbox asks.
  await sandbox.ShutdownSandbox({ sandboxId });
  await ended(shim);
  await lab.assertNothingLeft();
});
