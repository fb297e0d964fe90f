/** Listening where the daemon will look for us, or finding that another shim already does (contract §1.7). */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';

/** How long a shim that lives may take to accept, on a host that has other things to do. */
const PROBE_MS = 2_000;

export interface Listening {
  server: Server;
  path: string;
  /** Removes the socket file, unless somebody else has made a new one there. */
  unlink(): void;
}

/** A listening socket at the path, or `taken` when a living shim has it. A dead shim's leftover is replaced. */
export async function listenAt(path: string): Promise<Listening | 'taken'> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (let attempt = 1; ; attempt++) {
    try {
      return await listen(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (await isServed(path)) return 'taken';
      if (attempt === 2) throw new Error(`socket ${path} is in use, but nobody answers there`, { cause: error });
      rmSync(path, { force: true });
    }
  }
}

async function listen(path: string): Promise<Listening> {
  const server = createServer({ pauseOnConnect: false });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path, backlog: 511 }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
  const { ino, dev } = statSync(path);
  return {
    server,
    path,
    unlink: () => {
      const now = statSync(path, { throwIfNoEntry: false });
      if (now?.ino === ino && now.dev === dev) rmSync(path, { force: true });
    },
  };
}

/** Only a refused connection proves that nobody listens; a slow answer proves nothing, so the socket is left alone. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (served: boolean) => (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(served);
    };
    const timer = setTimeout(settle(true), PROBE_MS);
    socket.once('connect', settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')());
  });
}
