/** The way to a daemon. */
import { quietly } from './abort.js';
import { DaemonClient } from './client.js';
import { Connection } from './grpc/connection.js';
import { placesOf } from './network/places.js';
import { reach, type Reached } from './reach.js';
import { DEFAULT_DATA_ROOT } from './volume/store.js';
import type { Client, ConnectOptions } from './types/client.js';

const DEFAULT_NAMESPACE = 'default';
const DEFAULT_FIFO_DIR = '/run/hawser/fifo';

/**
 * Connects to a daemon.
 *
 * @param reached its socket, if somebody has begun to connect to that
 * @throws UnavailableError that says what is wrong with the socket
 */
export async function connect(options: ConnectOptions = {}, reached: Reached = reach(options)): Promise<Client> {
  const { path, signal } = reached;
  const connection = new Connection(path, await reached.socket);
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
