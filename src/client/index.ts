/**
 * Containers of hawserd or of any containerd, from Node.
 *
 * @module hawser/client
 */
import type { Client as ClientInterface, ConnectOptions } from './types/client.js';

export type * from './types/calls.js';
export type * from './types/client.js';
export type * from './types/container.js';
export type * from './types/files.js';
export type * from './types/log.js';
export type * from './types/process.js';
export type * from './types/events.js';
export type * from './image/types.js';
export type * from './network/types.js';
export type * from './registry/types.js';
export type * from './volume/types.js';
export type * from './spec/types.js';
export type { Stats } from './stats.js';
export type { Services } from './grpc/services.js';
export type { RpcDuplex, RpcMethod, RpcOptions, RpcSending, RpcService } from './grpc/types.js';
export type * from './seccomp/types.js';
export * from './errors.js';
export { parseExact, stringifyExact } from '../oci/json.js';
export { Code } from '../ttrpc/status.js';

export type Client = ClientInterface;
/** `Client.connect()` is where everything begins. */
export const Client = {
  /**
   * Connects to a daemon, and finds out that it answers.
   *
   * @throws UnavailableError that says what is wrong with the socket
   */
  // Loaded now: who imports the library for its errors, or connects later, doesn't wait for gRPC. The daemon doesn't, either.
  connect: async (options: ConnectOptions = {}): Promise<ClientInterface> => {
    const reached = (await import('./reach.js')).reach(options);
    return (await import('./connect.js')).connect(options, reached);
  },
};
