/** Which daemon a command is for, and why it cannot be spoken with. */
import { existsSync, statSync } from 'node:fs';
import { FAILED, CliError } from './errors.js';

export const HAWSERD_SOCKET = '/run/hawser/hawserd.sock';
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/** What stands before the command: where, and in which namespace. */
export interface Globals {
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  readonly debug?: boolean | undefined;
  /** Directories of plugins of networks, as in a PATH. */
  readonly cniPath?: string | undefined;
  /** The directory of their configurations. */
  readonly cniNetconfpath?: string | undefined;
}

/** The daemon's socket as a path: as given, of $CONTAINERD_ADDRESS, hawserd's if it is there, or else containerd's. */
export function addressOf({ address }: Globals): string {
  const given = address ?? process.env.CONTAINERD_ADDRESS;
  if (given) return given.replace(/^unix:\/\//, '');
  return existsSync(HAWSERD_SOCKET) ? HAWSERD_SOCKET : CONTAINERD_SOCKET;
}

export function namespaceOf({ namespace }: Globals): string {
  return namespace ?? (process.env.CONTAINERD_NAMESPACE || 'default');
}

/** @throws CliError when there is no socket that this user may use */
export function checkSocket(address: string): void {
  const start = 'start one (`hawserd`, or `systemctl start containerd`), or name its socket with --address';
  let found;
  try {
    found = statSync(address);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES')
      throw new CliError(`socket ${address}: this user may not look into its directory: run hawser as root`, FAILED, {
        cause: error,
      });
    throw new CliError(
      `no daemon at ${address}: ${code === 'ENOENT' ? 'there is no such socket' : (error as Error).message}; ${start}`,
      FAILED,
      { cause: error },
    );
  }
  if (!found.isSocket()) throw new CliError(`${address} is no socket, so no daemon can be there; ${start}`, FAILED);
}

/** For a daemon that doesn't answer where its socket is. */
export function silentDaemon(address: string, cause: unknown): CliError {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/EACCES|permission denied/i.test(text))
    return new CliError(
      `socket ${address}: this user may not use it: run hawser as root, or as one of the socket's group`,
      FAILED,
      { cause },
    );
  if (/ECONNREFUSED|ENOENT|nobody listens/.test(text))
    return new CliError(
      `no daemon answers at ${address}: its socket is there, but nobody listens; start it again, or name another with --address`,
      FAILED,
      { cause },
    );
  return new CliError(`the daemon at ${address} does not answer: ${text}`, FAILED, { cause });
}
