/**
 * A log for each runtime command under way, so that two that fail at the same moment don't get each other's words.
 *
 * A command that runs alone logs to the container's own file, as with any other shim. One that begins while that file is
 * taken gets a file beside it (`log.1.json`, …), whose text goes into the container's file when that is free, and which is
 * removed then. So the last words of all commands are found where they always were.
 */
import { appendFileSync, closeSync, openSync, readSync, statSync, writeFileSync } from 'node:fs';
import { removeFile } from '../oci/bundle.js';
import { LogTail } from './log.js';

/** A container's log that is longer than this is cut when a command begins … */
const MAX_SIZE = 64 * 1024;
/** … to its last so many bytes. What one command leaves is kept up to this much, too. */
const KEPT = 16 * 1024;

/** Who writes to which file of one container. */
interface Slots {
  readonly taken: Set<number>;
  /** Texts for the container's own file, for when nobody writes there. */
  waiting: string[];
}

const inUse = new Map<string, Slots>();

export class CommandLog {
  /** What the command is told to log to. */
  readonly file: string;
  readonly #slots: Slots;
  readonly #slot: number;
  readonly #tail: LogTail;

  /** Takes a file of its own; release() gives it back. `path` is the container's. */
  constructor(readonly path: string) {
    this.#slots = inUse.get(path) ?? { taken: new Set(), waiting: [] };
    this.#slot = lowestFree(this.#slots.taken);
    this.file = this.#slot === 0 ? path : path.replace(/(\.json)?$/, `.${this.#slot}.json`);
    this.#makeReady();
    this.#tail = new LogTail(this.file);
    this.#slots.taken.add(this.#slot);
    inUse.set(path, this.#slots);
  }

  /**
   * The last error that the command logged, or undefined. To be asked before release().
   *
   * @throws when there is a log that cannot be read
   */
  lastError(): string | undefined {
    return this.#tail.lastError();
  }

  /** The command has ended. Never throws: what it leaves is for people to read, and nothing depends on it. */
  release(): void {
    const { taken, waiting } = this.#slots;
    try {
      if (this.#slot > 0 && sizeOf(this.file) > 0) waiting.push(lastLines(this.file));
      if (this.#slot > 0) removeFile(this.file);
    } catch (error) {
      waiting.push(note(error));
    }
    taken.delete(this.#slot);
    if (!taken.has(0) && waiting.length > 0) this.#flush();
    if (taken.size === 0) inUse.delete(this.path);
    // Else somebody writes to the container's own file for long: what is kept meanwhile is bounded.
    else while (lengthOf(waiting) > MAX_SIZE) waiting.shift();
  }

  /** A log that cannot be had in order is no reason not to run a command. */
  #makeReady(): void {
    try {
      // One that a shim before us was killed over.
      if (this.#slot > 0) removeFile(this.file);
      else if (sizeOf(this.file) > MAX_SIZE) writeFileSync(this.file, lastLines(this.file));
    } catch (error) {
      this.#slots.waiting.push(note(error));
    }
  }

  #flush(): void {
    const text = this.#slots.waiting.splice(0).join('');
    try {
      appendFileSync(this.path, text);
    } catch (error) {
      // The bundle is gone, or its disk is full: the caller has had the error's text already.
      void error;
    }
  }
}

function lowestFree(taken: ReadonlySet<number>): number {
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The end of a file, from the first line that is whole. */
function lastLines(file: string): string {
  const size = sizeOf(file);
  const bytes = Buffer.alloc(Math.min(size, KEPT));
  const fd = openSync(file, 'r');
  try {
    const n = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    const text = bytes.toString('utf8', 0, n);
    const whole = size > n ? text.slice(text.indexOf('\n') + 1) : text;
    return whole === '' || whole.endsWith('\n') ? whole : `${whole}\n`;
  } finally {
    closeSync(fd);
  }
}

function note(error: unknown): string {
  return `${JSON.stringify({ level: 'warning', msg: `a command's log could not be kept: ${(error as Error).message}`, time: new Date().toISOString() })}\n`;
}
