/**
 * The daemon's absences. Its clients need longer than a shim to find it again, and what it is told before they subscribe is
 * lost on them: dockerd never asks how its containers are. The daemon does not say who subscribes, so events are held back
 * for as long as such a client may take. It is a gRPC client: it doubles its pauses, nearly, so the next try comes at most
 * 0.9 times the absence and 1.2 s after the return, and never later than 72 s (dockerd 28; 3.6 s in older ones).
 */
import { statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** What a client may take beyond the time of the absence. */
const SETTLE_MS = 3_000;
const LONGEST_MS = 75_000;
/** A client that has its connection back, since it asks for something, has subscribed so much later at most. */
const COMMANDED_MS = 1_000;
/** The times of files are those of the kernel's last tick. */
const TICK_MS = 20;

/** What is known of the daemon by who has nothing to tell it. */
export interface RestingAbsence {
  readonly commandedAt: number;
  readonly socket: string;
}

export class Absence {
  #lostAt: number | undefined;
  #commandedAt = 0;
  #socket = '';
  /** By performance.now(), as the clock may be set meanwhile. */
  #until = 0;

  /**
   * @param earlier what another process knew, whose daemon was there
   * @param settleMs what a client may take beyond the time of the absence
   */
  constructor(
    earlier?: RestingAbsence,
    private readonly settleMs = SETTLE_MS,
  ) {
    if (!earlier) return;
    this.#commandedAt = earlier.commandedAt;
    this.#socket = earlier.socket;
    this.#until = performance.now();
  }

  /** For another process to go on with. */
  rest(): RestingAbsence {
    return { commandedAt: this.#commandedAt, socket: this.#socket };
  }

  /** Which daemon it is that was connected to last: another one has bound its socket anew. */
  get daemon(): string {
    return this.#socket;
  }

  /** The daemon cannot be reached, or its connection is gone. Called as often as that shows. */
  lost(): void {
    const isHeard = this.#until > 0 && this.remainingMs === 0;
    if (isHeard) this.#lostAt = undefined;
    this.#lostAt ??= Date.now();
    this.#until = 0;
  }

  /** There is a connection to the daemon that listens at the path. */
  back(path: string): void {
    const { socket, boundAt } = identify(path);
    const lostAt = this.#lostAt;
    const known = this.#socket;
    this.#socket = socket;
    this.#until = performance.now();
    // The first daemon's clients are there: one of them asked for this shim.
    if (socket === known || (lostAt === undefined && known === '')) return;
    // One that went and came back while nobody looked was not away for long: who watches its connections is woken by their end.
    const end = boundAt + Math.max(0, boundAt - (lostAt ?? boundAt)) + this.settleMs;
    this.#until += Math.min(Math.max(0, end - Date.now()), LONGEST_MS);
    if (this.#commandedAt - boundAt > TICK_MS) this.#shorten(this.#commandedAt - Date.now());
  }

  /** A client of the daemon has asked for something. */
  commanded(): void {
    this.#commandedAt = Date.now();
    this.#shorten(0);
  }

  #shorten(sinceMs: number): void {
    this.#until = Math.min(this.#until, performance.now() + Math.max(0, sinceMs + COMMANDED_MS));
  }

  /** How long events are to be held back yet, in milliseconds. */
  get remainingMs(): number {
    return Math.max(0, this.#until - performance.now());
  }
}

/** A socket, and when it was bound, in milliseconds since the epoch. */
function identify(path: string): { socket: string; boundAt: number } {
  try {
    const { dev, ino, mtimeMs } = statSync(path);
    return { socket: `${dev} ${ino} ${mtimeMs}`, boundAt: mtimeMs };
  } catch {
    // An abstract socket has no file, and a daemon may have removed it since. Nothing is known, so it has just come back.
    const boundAt = Date.now();
    return { socket: `unknown ${boundAt}`, boundAt };
  }
}
