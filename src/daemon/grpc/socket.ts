/** The daemon's sockets: who may use them, and what is in their place already. */
import { chmodSync, chownSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { peerCredentials } from '../../sys/index.js';
import { makeDirectory } from '../directory.js';

// unix(7): sun_path has room for this and a NUL.
const MAX_PATH = 107;

export interface SocketOptions {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Listens on a unix socket that its owner and its group may use (mode 0660, both root unless given). What a daemon that is gone
 * has left there is replaced.
 *
 * @throws Error that says what is in the way: a living daemon, with its pid, or something that is no socket
 */
export async function listen(path: string, { uid = 0, gid = 0 }: SocketOptions = {}): Promise<Server> {
  if (Buffer.byteLength(path) > MAX_PATH)
    throw new Error(
      `socket ${path}: the path is longer than the ${MAX_PATH} bytes that a socket's may have; give a shorter one`,
    );
  if (!path.startsWith('/')) throw new Error(`socket ${JSON.stringify(path)}: the address must be an absolute path`);
  makeDirectory(dirname(path));
  await makeWay(path);
  const server = createServer();
  try {
    await listening(server, path);
  } catch (error) {
    throw new Error(`socket ${path}: cannot listen: ${(error as Error).message}`, { cause: error });
  }
  try {
    if (uid !== process.geteuid?.() || gid !== process.getegid?.()) chownSync(path, uid, gid);
    chmodSync(path, 0o660);
  } catch (error) {
    server.close();
    throw new Error(`socket ${path}: cannot give it to user ${uid} and group ${gid}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return server;
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within the call. Nobody else may connect in the moment before its owner is set.
    const umask = process.umask(0o177);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

async function makeWay(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`socket ${path}: something that is no socket is there; remove it or choose another address`);
  const owner = await ownerOf(path);
  if (owner !== undefined)
    throw new Error(`socket ${path} is in use by process ${owner}: stop that one, or choose another address`);
  rmSync(path, { force: true });
}

/** The process that listens there. */
function ownerOf(path: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket: Socket & { _handle?: { fd?: number } | null } = connect({ path });
    socket.once('connect', () => {
      const fd = socket._handle?.fd;
      const pid = fd === undefined ? '(unknown)' : String(peerCredentials(fd).pid);
      socket.destroy();
      resolve(pid);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(undefined);
      // Too many wait to be accepted: somebody is there.
      else if (error.code === 'EAGAIN') resolve('(busy)');
      else reject(new Error(`socket ${path}: cannot tell whether it is in use: ${error.message}`, { cause: error }));
    });
  });
}
