/** The way to a daemon. */
import { connect as connectSocket, type Socket } from 'node:net';
import { Code } from '../ttrpc/status.js';
import { abortable, limit, quietly } from './abort.js';
import { DaemonClient } from './client.js';
import { errorOf, InvalidArgumentError } from './errors.js';
import { Connection } from './grpc/connection.js';
import { placesOf } from './network/places.js';
import { DEFAULT_DATA_ROOT } from './volume/store.js';
import type { Client, ConnectOptions } from './types/client.js';

const DEFAULT_ADDRESS = '/run/containerd/containerd.sock';
const DEFAULT_NAMESPACE = 'default';
const DEFAULT_FIFO_DIR = '/run/hawser/fifo';

/** What is wrong with a socket, and what to do. */
const REASONS: Readonly<Record<string, [Code, string]>> = {
  ENOENT: [Code.Unavailable, 'there is no such socket; is the daemon running, and is this its address?'],
  ECONNREFUSED: [Code.Unavailable, 'nobody listens there; the daemon has ended'],
  EACCES: [Code.PermissionDenied, 'this user may not use it; try as root'],
  ENOTSOCK: [Code.InvalidArgument, 'that is no socket'],
};

/** Connects to a daemon. @throws UnavailableError that says what is wrong with the socket */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const path = pathOf(options.address ?? (process.env.CONTAINERD_ADDRESS || DEFAULT_ADDRESS));
  const signal = limit(options);
  const connection = new Connection(path, await reach(path, signal));
  try {
    const namespace = options.namespace ?? (process.env.CONTAINERD_NAMESPACE || DEFAULT_NAMESPACE);
    const client = new DaemonClient(connection, namespace, {
      fifoDir: options.fifoDir ?? DEFAULT_FIFO_DIR,
      dataRoot: options.dataRoot ?? DEFAULT_DATA_ROOT,
      places: placesOf(options.networkPlaces, namespace),
    });
    await client.version({ signal });
    // Nobody waits for this to be done well: who connects wants something else.
    await quietly(client.tidy({ signal }));
    return client;
  } catch (error) {
    connection.close();
    throw error;
  }
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

/** By a socket of our own: HTTP/2 does not say clearly why it can't connect. */
async function reach(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  const socket = connectSocket({ path });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const [code, reason] = REASONS[error.code ?? ''] ?? [Code.Unavailable, error.message];
      reject(errorOf(code, `${path}: ${reason}`, error));
    });
  });
  try {
    await abortable(connected, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}
