/** Who may connect. */
import type { Socket } from 'node:net';
import type { PeerCredentials } from './call-context.js';
import { descriptorOf, type ConnectionSocket } from './connection-socket.js';

/**
 * - `same-user`: peers whose user and group are this process's effective ones, as other ttrpc servers do.
 * - `none`: whoever can open the socket.
 * - a function: whoever it says.
 */
export type Authorize = 'same-user' | 'none' | ((socket: Socket) => boolean);

/** Tells a socket's peer, as of when it connected. */
export type PeerReader = (socket: ConnectionSocket) => PeerCredentials;

/** Loads what reads a peer's credentials. It is native code, so those who don't ask for it do without. */
export async function loadPeerReader(): Promise<PeerReader> {
  try {
    const { peerCredentials } = await import('../sys/index.js');
    return (socket) => {
      const fd = descriptorOf(socket);
      if (fd === undefined) throw new Error('ttrpc: the socket has no descriptor');
      return peerCredentials(fd);
    };
  } catch (error) {
    throw new Error(
      "ttrpc: cannot tell who connects, as hawser's native addon does not load. " +
        "Build it with 'make build', or give the server authorize: 'none' or a function of your own",
      { cause: error },
    );
  }
}

/** Whether a peer is the user that this process acts as. */
export function isSameUser(peer: PeerCredentials): boolean {
  return peer.uid === process.geteuid?.() && peer.gid === process.getegid?.();
}
