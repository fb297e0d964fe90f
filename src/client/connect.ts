import { UnimplementedError } from './errors.js';
import { Code } from '../ttrpc/status.js';
import type { Client, ConnectOptions } from './types.js';

/** Connects to a daemon. @throws UnavailableError that says what is wrong with the socket */
export function connect(_options: ConnectOptions = {}): Promise<Client> {
  return Promise.reject(new UnimplementedError(Code.Unimplemented, 'under construction'));
}
