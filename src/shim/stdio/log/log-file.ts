/**
 * A log file that the shim writes, and keeps at through times when it cannot be written. Everything that may take long
 * happens off the event loop, one thing at a time.
 */
import { closeSync } from 'node:fs';
import { normalize } from 'node:path';
import { logEntries, type EntryStream } from '../../../sys/index.js';
import type { Changes } from '../../observe/changes.js';
import type { Found, Leaving, Sink as RestingSink } from '../../worker/leaving.js';
import { RotatingFile, type RestingFile } from './rotating-file.js';
import { spillSettings, type LogFileSettings } from './settings.js';
import { settled } from '../settle.js';
import type { Sink } from '../sink.js';

const CHUNK = 64 * 1024;
/** How soon a file that could not be written is tried again. */
const RETRY_MS = 250;

/** Those that are open in this process: all who write to one path share it, so that rotation has one master. */
// eslint-disable-next-line hawser/module-state -- a path is the machine's, whichever service writes there
const files = new Map<string, LogFile>();

/** What a worker that rests leaves of a log file. Plain data. */
export interface RestingLogFile {
  readonly settings: LogFileSettings;
  readonly file: RestingFile;
  /** What the monitor may copy into it, each who writes to it. */
  readonly into: RestingSink;
  readonly dropped: number;
  readonly spilled: number;
  readonly spill?: RestingLogFile | undefined;
  /** For the case that who has it open ends suddenly: it may have written more by then, and rotated it. */
  readonly isSudden?: boolean | undefined;
}

export class LogFile {
  readonly #file: RotatingFile;
  readonly #opened: Promise<void>;
  #users = 0;
  /** What comes in while the other buffer is being written. */
  #filling = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;
  #spare = Buffer.allocUnsafeSlow(CHUNK);
  /** What comes before it: what others have made of entries, and not written. */
  readonly #first: Buffer[] = [];
  #work: Promise<void> | undefined;
  readonly #waiting = new Set<() => void>();
  #givenUp = false;
  #endRest: (() => void) | undefined;
  /** Why it cannot be written at the moment. */
  #failure: Error | undefined;
  #retryAt = 0;
  #dropped = 0;
  #spilled = 0;
  #spill: LogFile | undefined;
  #spillFailed = false;

  private constructor(
    private readonly settings: LogFileSettings,
    private readonly warn: (text: string) => void,
    private readonly changes: Pick<Changes, 'note'> | undefined,
    earlier?: { resting: RestingLogFile; found: Found },
  ) {
    this.#file = new RotatingFile(
      settings.path,
      settings.maxSize,
      settings.maxFiles,
      warn,
      changes,
      settings.format !== undefined,
    );
    if (earlier) {
      const { file, dropped, spilled, spill, isSudden } = earlier.resting;
      this.#file.resume(file, earlier.found, isSudden);
      [this.#dropped, this.#spilled] = [dropped, spilled];
      if (spill) this.#spill = LogFile.resume(spill, earlier.found, warn, changes);
      if (isSudden && file.rotates) this.#work = this.#openAgain();
    }
    this.#opened = earlier ? Promise.resolve() : this.#file.open();
    this.#opened.catch(() => undefined);
  }

  /** By its path, before anything is written: what is open may have been moved away since. */
  async #openAgain(): Promise<void> {
    try {
      await this.#file.open();
    } catch (error) {
      this.#fails(error as Error);
    }
    this.#work = undefined;
    if (this.#isWaitedFor) this.#work ??= this.#writeAll();
    await this.#work;
  }

  /** Opens a file, or joins those who have it open, whose settings then hold. To be released as often. */
  static async acquire(
    settings: LogFileSettings,
    warn: (text: string) => void,
    changes?: Pick<Changes, 'note'>,
  ): Promise<LogFile> {
    const path = normalize(settings.path);
    const file = files.get(path) ?? new LogFile(settings, warn, changes);
    files.set(path, file);
    file.#users++;
    try {
      await file.#opened;
      return file;
    } catch (error) {
      await file.release();
      throw error;
    }
  }

  /** Goes on with what another process has left; to be released as often as {@link acquire}'s. */
  static resume(
    resting: RestingLogFile,
    found: Found,
    warn: (text: string) => void,
    changes?: Pick<Changes, 'note'>,
  ): LogFile {
    const path = normalize(resting.settings.path);
    const known = files.get(path);
    // Each who writes to it has left a descriptor of the same open file.
    if (known) closeSync(found.fd(resting.file.place));
    const file = known ?? new LogFile(resting.settings, warn, changes, { resting, found });
    files.set(path, file);
    file.#users++;
    return file;
  }

  /** Leaves it to another process. @throws CannotRest while something of it is on its way, or the file cannot be written */
  rest(leaving: Leaving): RestingLogFile {
    const { settings } = this;
    if (this.#failure) leaving.underWay(`${settings.path} cannot be written for now`);
    if (this.#work || this.#isWaitedFor) leaving.underWay(`${settings.path} is being written`);
    const file = this.#file.rest(leaving);
    return {
      settings,
      file,
      into: this.#file.sinkOf(file, this.#users),
      dropped: this.#dropped,
      spilled: this.#spilled,
      spill: this.#spill?.rest(leaving),
      ...(leaving.isSudden ? { isSudden: true } : {}),
    };
  }

  /** So many bytes were written to it while there was no process for it. */
  grew(bytes: number): void {
    this.#file.grewUnseen(bytes);
  }

  /** What comes is not written as it is: each line gets its time and its stream. */
  get hasEntries(): boolean {
    return this.settings.format !== undefined;
  }

  get #isWaitedFor(): boolean {
    return this.#filled > 0 || this.#first.length > 0;
  }

  /** Entries that were read of a stream already; the first one may have been begun in the file. They come before all else. */
  prepend(entries: Buffer): void {
    if (entries.length === 0) return;
    this.#first.push(entries);
    this.#work ??= this.#writeAll();
  }

  /** A sink for one pump. In a log of entries they are this stream's. */
  writer(name: EntryStream = 'stdout'): Sink {
    const stream = this.settings.format === undefined ? undefined : name;
    let callback: (() => void) | undefined;
    const wake = (): void => {
      const waiting = callback;
      callback = undefined;
      waiting?.();
    };
    return {
      stream,
      write: (buffer, from, to) =>
        stream === undefined ? this.#take(buffer, from, to) : this.#takeEntries(buffer, from, to, stream),
      whenRoom: (waiting) => {
        callback = waiting;
        this.#waiting.add(wake);
      },
      close: () => {
        callback = undefined;
        this.#waiting.delete(wake);
      },
      // What is rotated has to be looked at, byte by byte.
      ...(this.settings.maxSize === undefined ? { forThread: () => this.#forThread() } : {}),
      written: (bytes, left) => {
        if (stream === undefined) this.#file.grew(bytes);
        else this.#threadHasWritten(left);
      },
    };
  }

  /** A thread that meets an error gives back what it could not write, which then comes this way. */
  async #forThread(): Promise<number | undefined> {
    await this.#work;
    return this.#failure || this.#givenUp ? undefined : this.#file.copy();
  }

  #threadHasWritten(left: Buffer = Buffer.alloc(0)): void {
    if (this.#givenUp) {
      this.#dropped += left.length;
      return;
    }
    this.#file.measure();
    this.prepend(left);
  }

  /** Everything that was taken is in a file, or has been given up. */
  async idle(): Promise<void> {
    await this.#work;
    await this.#spill?.idle();
  }

  /** True when it is so within the time. */
  idleWithin(timeoutMs: number): Promise<boolean> {
    return settled(timeoutMs, this.idle());
  }

  /** The last one closes it; what could not be written by then is given up, and said to be. */
  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const path = normalize(this.settings.path);
    // Whoever opens it from here on gets one of their own.
    if (files.get(path) === this) files.delete(path);
    this.#givenUp = true;
    this.#endRest?.();
    await this.#work;
    await this.#spill?.release();
    if (this.#dropped > 0) this.warn(`${this.#dropped} bytes for ${this.settings.path} were dropped in all`);
    if (this.#spilled > 0)
      this.warn(`${this.#spilled} bytes for ${this.settings.path} went to ${this.#spill?.settings.path ?? ''} in all`);
    await this.#file.close();
  }

  /** For the state dump. */
  describe(): Record<string, unknown> {
    const { path, maxSize, maxFiles, onDeath } = this.settings;
    return {
      path,
      ...(maxSize === undefined ? {} : { maxSize, maxFiles }),
      ...(this.settings.format === undefined ? {} : { format: this.settings.format }),
      onDeath: onDeath.kind,
      size: this.#file.size,
      waiting: this.#filled,
      dropped: this.#dropped,
      spilled: this.#spilled,
      ...(this.#failure ? { failing: this.#failure.message } : {}),
    };
  }

  #take(buffer: Uint8Array, from: number, to: number): number {
    const n = Math.min(to - from, CHUNK - this.#filled);
    this.#filling.set(buffer.subarray(from, from + n), this.#filled);
    this.#filled += n;
    this.#work ??= this.#writeAll();
    return n;
  }

  /** The time of each is that of now, when they were read. */
  #takeEntries(buffer: Uint8Array, from: number, to: number, stream: EntryStream): number {
    const { taken, put } = logEntries(buffer, from, to, stream, this.#filling, this.#filled);
    this.#filled += put;
    this.#work ??= this.#writeAll();
    return taken;
  }

  async #writeAll(): Promise<void> {
    // Its caller is a pump in the middle of its work: nothing must call that back before it is done.
    await Promise.resolve();
    try {
      while (this.#isWaitedFor) {
        const first = this.#first.shift();
        if (first) {
          await this.#store(first, first.length);
          continue;
        }
        const [bytes, length] = [this.#filling, this.#filled];
        [this.#filling, this.#spare, this.#filled] = [this.#spare, bytes, 0];
        const woken = [...this.#waiting];
        this.#waiting.clear();
        for (const wake of woken) wake();
        await this.#store(bytes, length);
      }
    } finally {
      this.#work = undefined;
    }
  }

  /** Writes all of it, or does with the rest what its settings say. */
  async #store(bytes: Buffer, length: number): Promise<void> {
    for (let at = 0; at < length;) {
      try {
        if (this.#failure) await this.#tryAgain(this.#failure);
        at += await this.#file.write(bytes, at, length);
        this.#works();
      } catch (error) {
        this.#fails(error as Error);
        if (await this.#waitOut()) continue;
        await this.#divert(bytes.subarray(at, length));
        return;
      }
    }
  }

  async #tryAgain(failure: Error): Promise<void> {
    if (Date.now() < this.#retryAt) throw failure;
    await this.#file.open();
  }

  #fails(error: Error): void {
    if (error === this.#failure) return;
    this.#retryAt = Date.now() + RETRY_MS;
    if (!this.#failure)
      this.warn(`${this.settings.path} cannot be written for now, ${this.#consequence()}: ${error.message}`);
    this.#failure = error;
  }

  #consequence(): string {
    const { onDeath } = this.settings;
    switch (onDeath.kind) {
      case 'drop':
        return 'what is meant for it is dropped';
      case 'spill':
        return `what is meant for it goes to ${onDeath.path}`;
      case 'block':
      case 'restart':
        return 'those who write to it wait';
    }
  }

  #works(): void {
    if (!this.#failure) return;
    this.#failure = undefined;
    this.warn(
      `${this.settings.path} can be written again; so far ${this.#dropped} bytes were dropped, and ${this.#spilled} went elsewhere`,
    );
  }

  /** True after a while when the policy is to wait; false when the rest is to be put elsewhere. */
  async #waitOut(): Promise<boolean> {
    const { kind } = this.settings.onDeath;
    if (this.#givenUp || kind === 'drop' || kind === 'spill') return false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.#endRest = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endRest = undefined;
    return !this.#givenUp;
  }

  async #divert(bytes: Buffer): Promise<void> {
    const { onDeath } = this.settings;
    if (onDeath.kind === 'spill') {
      try {
        this.#spill ??= await LogFile.acquire(spillSettings(onDeath.path), this.warn, this.changes);
        await this.#spill.append(bytes);
        this.#spilled += bytes.length;
        return;
      } catch (error) {
        if (!this.#spillFailed)
          this.warn(`nor can ${onDeath.path} be written, so it is dropped: ${(error as Error).message}`);
        this.#spillFailed = true;
      }
    }
    this.#dropped += bytes.length;
  }

  /** Takes all of it, however much, and is done when it is written. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += this.#take(bytes, at, bytes.length);
      await this.idle();
    }
  }
}
