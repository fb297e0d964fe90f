/**
 * Has the bundled shim live a whole life with a stand-in for the runtime, so that it can write down the compiled code of
 * all that a usual container needs (see shim/load.cjs). `code-cache.ts [LIBRARY]`: for the library in that directory, else dist, by
 * the Node that it has.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { containerd, ContainerdTaskV2Task as Task, pack } from '../api/index.js';
import { makeFifo } from '../sys/index.js';
import { connect, type ServiceClient } from '../ttrpc/index.js';

const { BootstrapParams, BootstrapResult } = containerd.runtime.bootstrap.v1;
const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const [, , library = dist] = process.argv;
const shim = join(library, 'shim.cjs');
const standIn = join(library, 'hawser-stand-in');
const node = join(library, 'node');
/** Code that was compiled under other flags V8 would not take. */
const launcherFlags = readFileSync(fileURLToPath(new URL('../monitor/flags.h', import.meta.url)), 'utf8');
const flags = [...launcherFlags.matchAll(/"(--[^"]+)"/g)].map(([, flag = '']) => flag);
/** A process stands in for the container and for what is run in it. */
const RUNTIME = `#!/bin/sh
state=$(dirname "$0")
for word; do
  case $pid_file in next) pid_file=$word;; esac
  case $word in
    --pid-file) pid_file=next;;
    create|start|exec|kill|delete) command=$word;;
  esac
done
case $command in
  create|exec)
    sleep 60 </dev/null >/dev/null 2>&1 &
    printf %s $! >"$pid_file"
    [ $command = exec ] || cp "$pid_file" "$state/init";;
  kill) kill -9 "$(cat "$state/init")";;
esac
`;
const dir = mkdtempSync(join(tmpdir(), 'hawser-build-'));

/** Creates, runs and deletes one container and an exec in it, as daemons do. */
async function rehearse(task: ServiceClient<typeof Task>): Promise<void> {
  const id = 'build';
  const runtime = join(dir, 'stand-in');
  writeFileSync(runtime, RUNTIME, { mode: 0o755 });
  const fifos = ['stdin', 'stdout', 'stderr'].map((name) => join(dir, name));
  for (const fifo of fifos) makeFifo(fifo, 0o600);
  const held = fifos.map((fifo) => openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK));
  const [stdin = '', stdout = '', stderr = ''] = fifos;
  const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { binaryName: runtime, root: dir });
  await task.Connect({ id });
  await task.Create({ id, bundle: dir, stdin, stdout, stderr, options });
  const exit = task.Wait({ id });
  await task.Start({ id });
  await task.State({ id });
  const spec = {
    type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from('{"args":["x"],"cwd":"/"}'),
  };
  await task.Exec({ id, execId: 'e', stdin, stdout, stderr, spec });
  const execExit = task.Wait({ id, execId: 'e' });
  await task.Start({ id, execId: 'e' });
  await task.Pids({ id });
  await task.CloseIO({ id, stdin: true });
  await task.Kill({ id, execId: 'e', signal: 9 });
  await execExit;
  await task.Delete({ id, execId: 'e' });
  await task.Kill({ id, signal: 9 });
  await exit;
  await task.Delete({ id });
  for (const fd of held) closeSync(fd);
}

/** What is done without a process where the runtime is runc, or says so. */
async function rehearseRunc(task: ServiceClient<typeof Task>): Promise<void> {
  const id = 'runc';
  const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { binaryName: standIn, root: dir });
  mkdirSync(join(dir, 'build'), { recursive: true });
  await task.Create({ id, bundle: dir, options });
  await task.Start({ id });
  await task.Wait({ id });
  await task.Delete({ id });
}

try {
  writeFileSync(join(dir, 'config.json'), '{}');
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawn(
    node,
    [...flags, shim, '-namespace', 'build', '-id', 'build', '-address', join(dir, 'grpc'), 'start'],
    {
      cwd: dir,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...env, HAWSER_WRITE_CODE_CACHE: '1' },
    },
  );
  // Its socket goes beside it: a build need not be root.
  child.stdin.end(BootstrapParams.encode({ instanceId: 'build', namespace: 'build', socketDir: dir }).finish());
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const output = await new Promise<Buffer>((resolve, reject) => {
    child.stdout.once('data', resolve);
    void ended.then(() => reject(new Error('the bundled shim did not start')));
  });
  const client = await connect(BootstrapResult.decode(output).address);
  try {
    await rehearse(client.service(Task));
    await rehearseRunc(client.service(Task));
  } finally {
    await client.service(Task).Shutdown({ id: 'build' });
    client.close();
  }
  const status = await ended;
  if (status !== 0) throw new Error(`the bundled shim ended with ${status}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
