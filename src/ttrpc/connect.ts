import { connect as connectSocket } from 'node:net';
import { Client, type ClientOptions } from './client.js';
import { Code, TtrpcError } from './status.js';

/** What holds for all calls, and how long connecting may take. */
export interface ConnectOptions extends ClientOptions {
  /** Gives up connecting after this long. */
  readonly timeoutMs?: number | undefined;
  /** Gives up connecting when this aborts. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to a unix socket. `path` may be written as an address, `unix:///run/x.sock`.
 *
 * Rejects with code Unavailable, and Node's own error as the cause, when there is nobody to connect to.
 */
export function connect(target: string | { readonly path: string }, options: ConnectOptions = {}): Promise<Client> {
  const path = (typeof target === 'string' ? target : target.path).replace(/^unix:\/\//, '');
  const { signal, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(TtrpcError.from(signal.reason));
      return;
    }
    const socket = connectSocket({ path });
    const settle = (error?: TtrpcError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      socket.off('connect', connected);
      socket.off('error', failed);
      if (error === undefined) resolve(new Client(socket, options));
      else {
        socket.destroy();
        reject(error);
      }
    };
    const connected = (): void => settle();
    const failed = (error: Error): void => settle(new TtrpcError(Code.Unavailable, error.message, { cause: error }));
    const aborted = (): void => settle(TtrpcError.from(signal?.reason));
    const timer =
      timeoutMs === undefined || timeoutMs === Infinity
        ? undefined
        : setTimeout(() => {
            settle(new TtrpcError(Code.DeadlineExceeded, `connect ${path}: no answer within ${timeoutMs} ms`));
          }, timeoutMs);
    signal?.addEventListener('abort', aborted);
    socket.on('connect', connected);
    socket.on('error', failed);
  });
}
