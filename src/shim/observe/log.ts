/**
 * The shim's own log: lines in the daemon's format, into the FIFO that the daemon reads. Logging never blocks, never
 * throws, and never ends the shim: a line that finds no room is counted and dropped (contract §1.8).
 */
import { constants, openSync } from 'node:fs';
import { duplicate, tryWrite } from '../../sys/index.js';

export type Level = 'debug' | 'info' | 'warning' | 'error' | 'fatal';

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

const RUNTIME = 'io.containerd.runc.v2';

/** A warning or an error, as it was logged. */
export interface Complaint {
  /** Milliseconds since the epoch. */
  time: number;
  level: Level;
  text: string;
}

/** How many of the last complaints are kept for the state dump, and how much of each. */
const KEPT = 20;
const KEPT_LENGTH = 500;

export class FifoLogger implements Logger {
  #fd: number | undefined;
  #dropped = 0;
  #droppedTotal = 0;
  readonly #complaints: Complaint[] = [];

  constructor(
    private readonly debugEnabled: boolean,
    private readonly runtime = RUNTIME,
  ) {}

  /**
   * Starts writing to the daemon's FIFO; standard error goes there too, for what Node itself has to say. The FIFO is
   * opened for reading as well, so it needs no daemon to be there, and what is written then waits for its return.
   */
  open(fifo: string): void {
    const { O_RDWR, O_NONBLOCK } = constants;
    try {
      this.#fd = openSync(fifo, O_RDWR | O_NONBLOCK);
    } catch (error) {
      // Without a daemon, as in tests, nobody made the FIFO, and there is no other place to say so.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return;
    }
    duplicate(this.#fd, 2);
  }

  get isDebugging(): boolean {
    return this.debugEnabled;
  }

  debug(message: string, fields?: Record<string, unknown>): void {
    if (this.debugEnabled) this.#write('debug', message, fields);
  }

  info(message: string, fields?: Record<string, unknown>): void {
    this.#write('info', message, fields);
  }

  warn(message: string, fields?: Record<string, unknown>): void {
    this.#complain('warning', message, fields);
  }

  error(message: string, fields?: Record<string, unknown>): void {
    this.#complain('error', message, fields);
  }

  /** Goes on from what another process has said. */
  resume({ complaints, dropped }: { complaints: readonly Complaint[]; dropped: number }): void {
    this.#complaints.unshift(...complaints);
    this.#droppedTotal += dropped;
  }

  /** For the state dump: the last complaints, and how many lines found no room in the FIFO. */
  describe(): { complaints: readonly Complaint[]; dropped: number } {
    return { complaints: this.#complaints, dropped: this.#droppedTotal };
  }

  #complain(level: Level, message: string, fields: Record<string, unknown> = {}): void {
    this.#complaints.push({ time: Date.now(), level, text: `${message}${pairs(fields)}`.slice(0, KEPT_LENGTH) });
    if (this.#complaints.length > KEPT) this.#complaints.shift();
    this.#write(level, message, fields);
  }

  #write(level: Level, message: string, fields: Record<string, unknown> = {}): void {
    if (this.#fd === undefined) return;
    const all = { ...fields, ...(this.#dropped ? { dropped_lines: this.#dropped } : {}), runtime: this.runtime };
    const line = formatLine(new Date(), level, message, all);
    try {
      // A pipe takes up to 4096 bytes whole or not at all; of a longer line some may be lost.
      if (tryWrite(this.#fd, Buffer.from(line)) === undefined) this.#drop();
      else this.#dropped = 0;
    } catch (error) {
      this.#drop();
      void error;
    }
  }

  #drop(): void {
    this.#dropped++;
    this.#droppedTotal++;
  }
}

/** One line as logrus' text formatter writes it. */
export function formatLine(time: Date, level: Level, message: string, fields: Record<string, unknown>): string {
  return `time=${JSON.stringify(time.toISOString())} level=${level} msg=${quote(message)}${pairs(fields)}\n`;
}

function pairs(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([key, value]) => ` ${key}=${quote(textOf(value))}`)
    .join('');
}

function textOf(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

function quote(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text);
}
