/** The way to a daemon's socket, before there is anything to say to it. */
import { connect as connectSocket, type Socket } from 'node:net';
import { Code } from '../ttrpc/status.js';
import { abortable, limit } from './abort.js';
import { errorOf, InvalidArgumentError } from './errors.js';
import type { ConnectOptions } from './types/client.js';

const DEFAULT_ADDRESS = '/run/containerd/containerd.sock';

/** What is wrong with a socket, and what to do. */
const REASONS: Readonly<Record<string, [Code, string]>> = {
  ENOENT: [Code.Unavailable, 'there is no such socket; is the daemon running, and is this its address?'],
  ECONNREFUSED: [Code.Unavailable, 'nobody listens there; the daemon has ended'],
  EACCES: [Code.PermissionDenied, 'this user may not use it; try as root'],
  ENOTSOCK: [Code.InvalidArgument, 'that is no socket'],
};

export interface Reached {
  readonly path: string;
  /** That of the options, and their time limit, which runs from now on. */
  readonly signal: AbortSignal | undefined;
  /** Fails with an UnavailableError that says what is wrong with the socket. */
  readonly socket: Promise<Socket>;
}

/** Begins to connect. @throws InvalidArgumentError for an address that can be none */
export function reach(options: ConnectOptions): Reached {
  const path = pathOf(options.address ?? (process.env.CONTAINERD_ADDRESS || DEFAULT_ADDRESS));
  const signal = limit(options);
  const socket = connected(path, signal);
  // Who awaits it may have to load something first.
  socket.catch(() => undefined);
  return { path, signal, socket };
}

function pathOf(address: string): string {
  const path = address.replace(/^unix:(?:\/\/)?/, '');
  if (!path.startsWith('/'))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `address ${JSON.stringify(address)} must be a socket's absolute path: invalid argument`,
    );
  return path;
}

async function connected(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  const socket = connectSocket({ path });
  const done = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const [code, reason] = REASONS[error.code ?? ''] ?? [Code.Unavailable, error.message];
      reject(errorOf(code, `${path}: ${reason}`, error));
    });
  });
  try {
    await abortable(done, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}
