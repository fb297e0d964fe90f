/**
 * The door to the state dump and the metrics. They are asked for by HTTP on the shim's own socket: so there is no other
 * socket to make, to guard, to find and to remove, and who may use it is checked as for any client. A ttrpc frame cannot
 * begin as an HTTP request does. Their code is loaded when somebody asks.
 */
import type { Socket } from 'node:net';
import type { Sources } from './sources.js';
import type { Logger } from '../observe/log.js';
import { BUILD } from '../observe/version.js';

/** How `GET` begins, in a frame's place for the first byte of a length of over a gigabyte. */
const G = 0x47;

/** Whether a connection is one to ask by: how it begins says so. */
export function asksForState(first: Buffer): boolean {
  return first[0] === G;
}

/** Takes over a connection that is one to ask by. */
export function answerDebug(socket: Socket, first: Buffer, sources: Sources): void {
  socket.pause();
  // Who has asked may be gone before he is answered; 'close' follows.
  socket.on('error', () => undefined);
  // Who asks by netcat closes his half before he has the answer.
  socket.allowHalfOpen = true;
  void load().then(
    ({ serveHttp }) => serveHttp(socket, first, sources),
    (error: unknown) =>
      socket
        .resume()
        .end(`HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n${raw(sources, error)}\n`),
  );
}

/** The state dump in the log, one at a time. */
export class DumpToLog {
  #isWriting = false;

  constructor(
    private readonly sources: Sources,
    private readonly log: Logger,
  ) {}

  /** Writes it, unless that is being done. */
  async write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    const { sources, log } = this;
    try {
      const { logState } = await load();
      await logState(sources, log);
    } catch (error) {
      log.info('state of the shim', { state: raw(sources, error) });
    } finally {
      this.#isWriting = false;
    }
  }
}

async function load(): Promise<typeof import('./index.js')> {
  const code = await import('./index.js');
  if (code.BUILD !== BUILD) throw new Error(`this shim was replaced by ${code.BUILD} while it ran`);
  return code;
}

/** Where the code is gone, or is another's by now, the facts themselves must do. An exec's spec has its environment. */
function raw(sources: Sources, why: unknown): string {
  const { creating, created } = sources.containers();
  return JSON.stringify(
    {
      raw: true,
      why: String(why),
      build: BUILD,
      pid: sources.pid,
      now: Date.now(),
      creating,
      created,
      requests: sources
        .requests()
        .map(({ method, id, execId, context }) => ({ method, id, execId, started: context.started })),
      runtimeCommands: sources.commands(),
      waits: sources.waits(),
      events: sources.events(),
      log: sources.log(),
    },
    (key, value: unknown) =>
      key === 'spec' || key === 'operations' ? undefined : value instanceof Map ? [...value] : value,
  );
}
