/** `hawser shim` by its command line; what it does to daemons is in test/e2e/enable.test.ts. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { temporaryDirectory, top } from '../support/daemons.js';

const root = temporaryDirectory('shim-root');
after(() => rmSync(root, { recursive: true }));

async function shim(...args: string[]): Promise<[number | undefined, string, string]> {
  const { exitCode, stdout, stderr } = await execa(join(top, 'bin/hawser'), ['shim', ...args], {
    stdin: 'ignore',
    reject: false,
  });
  return [exitCode, stdout, stderr];
}

test('what cannot be meant is one line and 125', async () => {
  for (const [args, says] of [
    [['enable', '--for', 'podman'], /^hawser: --for podman is no daemon: .*See 'hawser shim enable --help'$/],
    [['enable', '--runtime-class', 'Box', '--root', root], /^hawser: --runtime-class "Box" is no name: .*$/],
    [['upgrade'], /^hawser: it takes --all, or --namespace and --id.*See 'hawser shim upgrade --help'$/],
    [['upgrade', '--id', 'c'], /^hawser: --id goes with --namespace: .*See 'hawser shim upgrade --help'$/],
    [
      ['upgrade', '--id', 'c', '--all'],
      /^hawser: --all and --id exclude each other.*See 'hawser shim upgrade --help'$/,
    ],
    [['disable', '--for', 'docker'], /^hawser: unknown option '--for'.*See 'hawser shim disable --help'$/],
  ] as const) {
    const [status, stdout, stderr] = await shim(...args);
    assert.deepEqual([status, stdout], [125, ''], stderr);
    assert.match(stderr, says);
  }
});

test('what cannot be done is one line and 1', async () => {
  for (const [args, says] of [
    [
      ['upgrade', '--namespace', 'hawser-none', '--id', 'none'],
      /^hawser: no shim of Hawser's and of this user runs for hawser-none\/none$/,
    ],
    [['upgrade', '--all', '--wait', 'long'], /^hawser: --wait long: it takes a number of seconds, 1 to 3600$/],
    [['enable', '--root', '/no/such'], /^hawser: --root \/no\/such: there is no such directory$/],
    [
      ['enable', '--root', root],
      /^hawser: there is no containerd\.service below .*: put .* first in the PATH of whatever starts it$/,
    ],
  ] as const) {
    const [status, stdout, stderr] = await shim(...args);
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.match(stderr, says);
  }
});

test('a dry run writes nothing, and the status of a root is JSON for programs', async () => {
  mkdirSync(join(root, 'lib/systemd/system'), { recursive: true });
  writeFileSync(join(root, 'lib/systemd/system/containerd.service'), '[Service]\nExecStart=/usr/bin/containerd\n');
  const [status, stdout, stderr] = await shim('enable', '--dry-run', '--root', root);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^--- \/dev\/null\n\+\+\+ .*\/zz-hawser\.conf\n@@ -0,0 \+1,4 @@\n\+# Written by/);
  assert.deepEqual(readdirSync(root), ['lib']);
  const [, json] = await shim('status', '--json', '--root', root);
  assert.deepEqual(JSON.parse(json), {
    shim: join(top, 'bin/containerd-shim-runc-v2'),
    written: [],
    services: [{ name: 'containerd.service' }],
    shims: { ours: 0, others: 0 },
  });
});
