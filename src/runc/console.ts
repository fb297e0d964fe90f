import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenUnix, READABLE, tryAccept, tryReceiveDescriptor, Watch } from '../sys/index.js';

/** The socket through which an OCI runtime hands over the master end of the pseudo-terminal that it made. */
export class ConsoleSocket {
  readonly path: string;
  readonly #dir: string;
  readonly #listener: number;
  #closed = false;
  #stop: ((reason: Error) => void) | undefined;

  /** Makes the socket, in a directory of its own below XDG_RUNTIME_DIR or the directory for temporary files. */
  constructor() {
    this.#dir = mkdtempSync(join(process.env.XDG_RUNTIME_DIR || tmpdir(), 'pty'));
    this.path = join(this.#dir, 'pty.sock');
    try {
      this.#listener = listenUnix(this.path);
    } catch (error) {
      rmSync(this.#dir, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * The master's descriptor, close-on-exec, the caller's from then on.
   *
   * @throws when it has not come within `timeoutMs`, when the socket is closed before, or when the message carries
   *   anything but one descriptor
   */
  async receive(timeoutMs: number): Promise<number> {
    if (this.#closed) throw new Error('the console socket is closed');
    const connection = await this.#poll(this.#listener, () => tryAccept(this.#listener), timeoutMs);
    try {
      return await this.#poll(connection, () => tryReceiveDescriptor(connection), timeoutMs);
    } finally {
      closeSync(connection);
    }
  }

  /** Removes the socket; a receive under way fails. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop?.(new Error('the console socket was closed before the runtime sent a terminal'));
    closeSync(this.#listener);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Waits until `attempt` gives something, trying whenever the descriptor is readable. */
  async #poll<T>(fd: number, attempt: () => T | undefined, timeoutMs: number): Promise<T> {
    const first = attempt();
    if (first !== undefined) return first;
    let timer: NodeJS.Timeout | undefined;
    let watch: Watch | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#stop = reject;
        timer = setTimeout(
          () => reject(new Error(`the runtime sent no terminal within ${timeoutMs / 1000} s`)),
          timeoutMs,
        );
        watch = new Watch(fd, () => {
          try {
            const result = attempt();
            if (result !== undefined) resolve(result);
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
        watch.want(READABLE);
      });
    } finally {
      this.#stop = undefined;
      clearTimeout(timer);
      watch?.close();
    }
  }
}
