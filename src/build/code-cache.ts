/** Has the bundled shim live a short life, so that it can write down its compiled code (see shim/load.cjs). */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { containerd, ContainerdTaskV2Task as Task } from '../api/index.js';
import { connect } from '../ttrpc/index.js';

const shim = fileURLToPath(new URL('../../dist/shim.cjs', import.meta.url));
const node = fileURLToPath(new URL('../../dist/node', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'hawser-build-'));

try {
  writeFileSync(join(dir, 'config.json'), '{}');
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawn(node, ['--no-warnings', shim, '-namespace', 'build', '-id', 'build', '-address', join(dir, 'grpc'), 'start'], {
    cwd: dir, stdio: ['pipe', 'pipe', 'inherit'], env: { ...env, HAWSER_WRITE_CODE_CACHE: '1' },
  });
  // Its socket goes beside it: a build need not be root.
  child.stdin.end(containerd.runtime.bootstrap.v1.BootstrapParams.encode({ instanceId: 'build', namespace: 'build', socketDir: dir }).finish());
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', resolve);
    void ended.then(() => reject(new Error('the bundled shim did not start')));
  });
  const client = await connect(address);
  await client.service(Task).Connect({ id: 'none' });
  await client.service(Task).Create({ id: 'none', bundle: join(dir, 'none') }).catch((error: unknown) => error);
  await client.service(Task).Shutdown({ id: 'none' });
  client.close();
  const status = await ended;
  if (status !== 0) throw new Error(`the bundled shim ended with ${status}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
