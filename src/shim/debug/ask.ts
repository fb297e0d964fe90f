/** The `debug` action: finds a container's shim, asks it, and gives what it says. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { directoriesOf, inspect } from './procfs.js';

/** How long a shim may take to answer. */
const PATIENCE_MS = 10_000;
/** What the kernel calls each shim's process. */
const SHIM = 'containerd-shim';

/** Where hawserd, containerd and dockerd keep their bundles, unless they are told otherwise. */
const STATE_DIRS = [
  '/run/hawser/state/io.containerd.runtime.v2.task',
  '/run/containerd/io.containerd.runtime.v2.task',
  '/run/docker/containerd/daemon/io.containerd.runtime.v2.task',
];

export interface Question {
  namespace: string;
  id: string;
  /** The bundle's directory; found by the others when empty. */
  bundle: string;
  /** `state` when empty, or `metrics`. */
  topic: string;
}

/** @param peerOf tells who listens at the other end of a connected socket */
export async function ask(question: Question, peerOf: (fd: number) => { pid: number }): Promise<string> {
  const topic = question.topic || 'state';
  if (!['state', 'metrics'].includes(topic))
    throw new Error(`debug: there is no ${JSON.stringify(topic)}; ask for state or metrics`);
  const address = findAddress(question);
  if (!address.startsWith('unix://')) throw new Error(`debug: the shim's address ${address} is no socket path`);
  const path = address.slice('unix://'.length);
  const answer = await fetch(path, topic, peerOf);
  const match = /^HTTP\/1\.[01] (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(answer);
  if (!match) throw new Error(`debug: who answers at ${path} is not this shim`);
  const [, status, body = ''] = match;
  if (status !== '200') throw new Error(`debug: the shim says: ${body.trim()}`);
  return body;
}

function findAddress({ namespace, id, bundle }: Question): string {
  const bundles = bundle
    ? [bundle]
    : [
        ...(!id || basename(process.cwd()) === id ? [process.cwd()] : []),
        ...(namespace && id
          ? [...STATE_DIRS.map((dir) => join(dir, namespace, id)), ...besideShims(namespace, id)]
          : []),
      ];
  for (const dir of bundles) {
    const text = tryRead(join(dir, 'address')) ?? addressIn(tryRead(join(dir, 'bootstrap.json')));
    if (text) return text.trim();
  }
  throw new Error(
    `debug: no shim's address in ${bundles.join(', ') || 'any place'}; give the bundle's directory with -bundle, or -namespace and -id`,
  );
}

/** Where a bundle would lie if it were a running shim's neighbour: that one is in its own, whichever its daemon's directory is. */
function besideShims(namespace: string, id: string): string[] {
  const parents = new Set(directoriesOf(SHIM).map((dir) => dirname(dir)));
  return [...parents].filter((dir) => basename(dir) === namespace).map((dir) => join(dir, id));
}

/** containerd 2.x keeps it so. */
function addressIn(bootstrap: string | undefined): string | undefined {
  if (bootstrap === undefined) return undefined;
  const { address } = JSON.parse(bootstrap) as { address?: unknown };
  return typeof address === 'string' ? address : undefined;
}

function tryRead(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function fetch(path: string, topic: string, peerOf: (fd: number) => { pid: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path);
    const fail = (why: string): void => {
      socket.destroy();
      reject(new Error(`debug: ${why}`));
    };
    const timer = setTimeout(() => fail(silence(path, socket, peerOf)), PATIENCE_MS);
    socket.once('connect', () => socket.write(`GET /${topic} HTTP/1.0\r\n\r\n`));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(
        error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
          ? `nobody listens at ${path}: the shim is gone`
          : `${path}: ${error.message}`,
      );
    });
    socket.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

/** A shim that doesn't answer is stuck itself; what the kernel says of it is all that there is. */
function silence(
  path: string,
  socket: { _handle?: { fd?: number } | null } | object,
  peerOf: (fd: number) => { pid: number },
): string {
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  const process = fd === undefined || fd < 0 ? undefined : inspect(peerOf(fd).pid);
  const what = process
    ? `process ${process.pid} (${process.name}) is in state ${process.state}${process.wchan ? `, in ${process.wchan}` : ''}; /proc/${process.pid}/stack tells more`
    : 'nobody is known to listen';
  return `the shim at ${path} has not answered for ${PATIENCE_MS / 1000} s: ${what}`;
}
