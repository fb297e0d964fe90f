/** A socket that is taken before there is anybody to answer on it. */
import type { Server, Socket } from 'node:net';
import { listen, type SocketOptions } from './socket.js';

/**
 * Listens at once, so that a second daemon is refused before it has touched anything, and so that shims and clients that come while
 * the plugins start are answered a little later instead of turned away.
 */
export class EarlyListener {
  readonly #waiting: Socket[] = [];

  private constructor(private readonly server: Server) {
    server.on('connection', this.#wait);
  }

  static async listen(path: string, options: SocketOptions): Promise<EarlyListener> {
    return new EarlyListener(await listen(path, options));
  }

  /** Hands over those who wait, and whoever comes. */
  serve(accept: (socket: Socket) => void): void {
    this.server.off('connection', this.#wait);
    this.server.on('connection', accept);
    for (const socket of this.#waiting.splice(0)) if (!socket.destroyed) accept(socket);
  }

  /** Listens no more, and removes the socket. Connections that were handed over are not touched. */
  close(): void {
    this.server.close();
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }

  readonly #wait = (socket: Socket): void => {
    // Who leaves before being answered leaves.
    socket.on('error', () => socket.destroy());
    this.#waiting.push(socket);
  };
}
