/** What `start` answers to which daemon (contract §1.6; field problems 36 to 38). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { containerd, ContainerdTaskV2Task as TaskV2, ContainerdTaskV3Task as TaskV3 } from '../../src/api/index.js';
import { isContainerd2 } from '../../src/shim/program/daemon.js';
import { answer, answerForRunning, dialectOf } from '../../src/shim/program/dialect.js';
import { Server, TtrpcError, Code } from '../../src/ttrpc/index.js';
import { tempDir } from './fixtures/support.js';

const { BootstrapResult } = containerd.runtime.bootstrap.v1;
const ADDRESS = 'unix:///run/containerd/s/abc';

/** A running process whose program says that Go made it of this package. */
async function processOf(t: TestContext, buildInfo: string): Promise<number> {
  const program = join(tempDir(t), 'daemon');
  // Go has 32 bytes of header before the text; where it lies in the file is all that counts here.
  const source = `__attribute__((section(".go.buildinfo"), used)) static const char info[] = ${JSON.stringify(`\x7f Go buildinf:${' '.repeat(18)}${buildInfo}`)};
    int pause(void); int main(void) { return pause(); }`;
  execFileSync('cc', ['-x', 'c', '-o', program, '-'], { input: source });
  const child = spawn(program, { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  return child.pid!;
}

test('containerd 2 is known by what Go wrote into it', async (t) => {
  const path = (name: string): string => `path\t${name}\nmod\tx\t(devel)\t\n`;
  assert.equal(isContainerd2(await processOf(t, path('github.com/containerd/containerd/v2/cmd/containerd'))), true);
  assert.equal(isContainerd2(await processOf(t, path('github.com/containerd/containerd/cmd/containerd'))), false);
  assert.equal(isContainerd2(await processOf(t, path('example.org/containerd/v2/cmd/containerd'))), false);
  // Others have it built in, under its own name or in place of it.
  assert.equal(
    isContainerd2(
      await processOf(t, `${path('example.org/all-in-one')}dep\tgithub.com/containerd/containerd/v2\tv2.0.4\th1:x=\n`),
    ),
    true,
  );
  assert.equal(
    isContainerd2(
      await processOf(
        t,
        `${path('example.org/all-in-one')}dep\tgithub.com/containerd/containerd\tv1.7.24\th1:x=\ndep\tgithub.com/containerd/containerd/api\tv1.8.0\th1:y=\n`,
      ),
    ),
    false,
  );
});

test("a process that is gone, or no program of Go's, is no containerd 2", async (t) => {
  assert.equal(isContainerd2(process.pid), false);
  assert.equal(isContainerd2(2 ** 30), false);
  assert.equal(isContainerd2(Number.NaN), false);
  const busybox = join(tempDir(t), 'daemon');
  copyFileSync('/bin/busybox', busybox);
  const child = spawn(busybox, ['sleep', '1000'], { stdio: 'ignore', argv0: 'sleep' });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.once('spawn', resolve));
  assert.equal(isContainerd2(child.pid!), false);
});

test('who sends BootstrapParams reads a BootstrapResult, containerd 2 reads JSON, everybody else reads plain text', async (t) => {
  const two = await processOf(t, 'path\tgithub.com/containerd/containerd/v2/cmd/containerd\n');
  assert.deepEqual(
    [dialectOf(true, process.pid), dialectOf(true, two), dialectOf(false, two), dialectOf(false, process.pid)],
    ['protobuf', 'protobuf', 'json', 'plain'],
  );
});

test('an answer in each dialect', () => {
  assert.equal(answer('plain', ADDRESS), ADDRESS);
  assert.equal(answer('json', ADDRESS), `{"version":3,"address":"${ADDRESS}","protocol":"ttrpc"}`);
  const bytes = answer('protobuf', ADDRESS) as Uint8Array;
  assert.equal(Buffer.from(bytes).toString('latin1'), `\x08\x03\x12\x1c${ADDRESS}\x1a\x05ttrpc`);
  const { version, address, protocol } = BootstrapResult.decode(bytes);
  assert.deepEqual({ version, address, protocol }, { version: 3, address: ADDRESS, protocol: 'ttrpc' });
});

test('a protobuf answer survives daemons that cut white space off its end', () => {
  const bytes = answer('protobuf', ADDRESS) as Uint8Array;
  assert.doesNotMatch(Buffer.from(bytes).toString('latin1'), /^\s|\s$/);
});

test('37: for a shim that runs already, the version is the one that it serves', async (t) => {
  const path = join(tempDir(t), 's');
  const handlers = (): never => {
    throw new TtrpcError(Code.NotFound, 'container not created');
  };
  const old = await serve(t, `${path}-2`, new Server().add(TaskV2, { Connect: handlers }));
  const latest = await serve(t, `${path}-3`, new Server().add(TaskV3, { Connect: handlers }));
  const both = await serve(
    t,
    `${path}-23`,
    new Server().add(TaskV2, { Connect: handlers }).add(TaskV3, { Connect: handlers }),
  );
  const version = async (address: string): Promise<number> =>
    (JSON.parse(String(await answerForRunning('json', address))) as { version: number }).version;
  assert.deepEqual([await version(old), await version(latest), await version(both)], [2, 3, 3]);
  assert.equal(BootstrapResult.decode((await answerForRunning('protobuf', old)) as Uint8Array).version, 2);
  assert.equal(await answerForRunning('plain', latest), latest);
});

async function serve(t: TestContext, path: string, server: Server): Promise<string> {
  const listener = createServer();
  await server.serve(listener);
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  t.after(() => server.close());
  return `unix://${path}`;
}
