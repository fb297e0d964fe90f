/**
 * Has the bundled command line do what is done most, with a stand-in for the daemon, so that it can write down the compiled code of all
 * that this needs (see cli/packaging/load.cjs). `code-cache-cli.ts [LIBRARY]`: for the library in that directory, else dist, by the Node
 * that it has.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as api from '../api/full.js';
import { frame } from '../client/grpc/frames.js';
import { Code } from '../ttrpc/status.js';

const [, , library = fileURLToPath(new URL('../../dist', import.meta.url))] = process.argv;
const dir = mkdtempSync(join(tmpdir(), 'hawser-build-'));

const spec = { process: { args: ['sleep', '1000'], cwd: '/' }, root: { path: '/rootfs' } };
const { containers, tasks, version } = api.containerd.services;
const answers: Readonly<Record<string, { finish(): Uint8Array }>> = {
  'containerd.services.version.v1.Version/Version': version.v1.VersionResponse.encode({ version: '2.0.0' }),
  'containerd.services.containers.v1.Containers/List': containers.v1.ListContainersResponse.encode({
    containers: ['one', 'two'].map((id) => ({
      id,
      image: 'docker.io/library/busybox:latest',
      labels: { 'nerdctl/name': id },
      runtime: { name: 'io.containerd.runc.v2' },
      createdAt: { seconds: 1_700_000_000 },
      spec: {
        type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
        value: Buffer.from(JSON.stringify(spec)),
      },
    })),
  }),
  'containerd.services.tasks.v1.Tasks/List': tasks.v1.ListTasksResponse.encode({
    tasks: [{ id: 'one', containerId: 'one', pid: 1, status: api.containerd.v1.types.Status.RUNNING }],
  }),
  'containerd.services.containers.v1.Containers/Create': containers.v1.CreateContainerResponse.encode({
    container: { id: 'three' },
  }),
  'containerd.services.containers.v1.Containers/Delete': api.google.protobuf.Empty.encode({}),
};

/** Knows these answers, and that all else is not there. */
function answer(stream: ServerHttp2Stream, path: string): void {
  const known = answers[path.slice(1)];
  stream.resume();
  if (known === undefined) {
    stream.respond(
      { 'content-type': 'application/grpc', 'grpc-status': Code.NotFound, 'grpc-message': 'not found' },
      { endStream: true },
    );
    return;
  }
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(frame(known.finish()));
}

/** @returns its exit status */
function hawser(...args: string[]): Promise<number | null> {
  const child = spawn(join(library, 'node'), [join(library, 'hawser.cjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      HAWSER_WRITE_CODE_CACHE: '1',
      HAWSER_DATA: join(dir, 'data'),
      CONTAINERD_ADDRESS: join(dir, 'sock'),
    },
  });
  child.stdout.resume();
  child.stderr.resume();
  return new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
}

const daemon = createServer();
daemon.on('stream', (stream, headers) => answer(stream, String(headers[':path'])));
try {
  for (const name of ['hawser.cache', 'hawser.ps.cache']) rmSync(join(library, name), { force: true });
  await new Promise<void>((resolve) => void daemon.listen(join(dir, 'sock'), resolve));
  mkdirSync(join(dir, 'rootfs'));
  for (const command of [['ps'], ['container', 'ls']]) {
    const status = await hawser(...command);
    if (status !== 0) throw new Error(`the bundled command line's ${command.join(' ')} ended with ${status}`);
  }
  // Its container can't be started: there is none. What leads there is most of it.
  await hawser('run', '--rm', '--network', 'none', '--rootfs', join(dir, 'rootfs'), 'true');
} finally {
  daemon.close();
  rmSync(dir, { recursive: true, force: true });
}
