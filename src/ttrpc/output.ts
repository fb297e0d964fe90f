import type { ConnectionSocket } from './connection-socket.js';
import type { FrameBytes } from './wire.js';

/** Writes frames to a socket; those of one turn of the event loop go out in one system call. */
export class Output {
  #corked = false;
  #full = false;

  constructor(
    readonly socket: ConnectionSocket,
    drained: () => void,
  ) {
    socket.on('drain', () => {
      this.#full = false;
      drained();
    });
  }

  /** Whether the socket has been given as much as it wants for now. */
  get full(): boolean {
    return this.#full;
  }

  /** How much the socket has taken and not sent. */
  get unsent(): number {
    return this.socket.writableLength;
  }

  write(frame: FrameBytes): void {
    const { socket } = this;
    if (!socket.writable) return;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(uncork, this);
    }
    if (frame instanceof Uint8Array) {
      if (!socket.write(frame)) this.#full = true;
    } else if (socket.account) {
      // Whoever keeps account goes by whole frames.
      if (!socket.write(Buffer.concat(frame))) this.#full = true;
    } else {
      for (const part of frame) if (!socket.write(part)) this.#full = true;
    }
  }

  uncork(): void {
    this.#corked = false;
    this.socket.uncork();
  }
}

function uncork(output: Output): void {
  output.uncork();
}
