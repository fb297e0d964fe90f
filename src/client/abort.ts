/** Signals and time limits of calls that are made of several. */
import { Code } from '../ttrpc/status.js';
import { AbortError, ClientError, DeadlineExceededError } from './errors.js';
import type { CallOptions } from './types/calls.js';

/** How long a call that was given up may take to end by itself, so that it is known what it did. */
const GRACE_MS = 5_000;

/** One signal for a call's own signal and its time limit. */
export function limit({ signal, timeoutMs }: CallOptions): AbortSignal | undefined {
  if (timeoutMs === undefined || !Number.isFinite(timeoutMs)) return signal;
  const late = new AbortController();
  const error = new DeadlineExceededError(
    Code.DeadlineExceeded,
    `the call was not done within ${timeoutMs} ms: deadline exceeded`,
  );
  setTimeout(() => late.abort(error), timeoutMs).unref();
  return signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
}

/** The error of a call whose signal was aborted. */
export function abortedBy(signal: AbortSignal): Error {
  return signal.reason instanceof ClientError ? signal.reason : new AbortError(signal.reason);
}

/** Throws when the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedBy(signal);
}

/** The promise, or the abort if that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(abortedBy(signal));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Waits; ends early, and throws, on an abort. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What takes back what has been done, in reverse order. */
export class Undo {
  readonly #steps: (() => Promise<unknown> | void)[] = [];

  add(step: () => Promise<unknown> | void): void {
    this.#steps.push(step);
  }

  /** Takes everything back, and throws the error that made it necessary, with what could not be taken back. */
  async because(error: unknown): Promise<never> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0 && error instanceof Error) {
      error.message += ` (and not all of it could be taken back: ${failures.map((failure) => (failure as Error).message).join('; ')})`;
    }
    throw error;
  }
}

export interface Change<T> {
  /** Makes the change. Its signal is not the caller's: it aborts only when the call does not end in time after that. */
  readonly make: (signal: AbortSignal) => Promise<T>;
  /** Has it end soon, after an abort. */
  readonly hasten?: () => Promise<unknown>;
  /** Takes it back. */
  readonly back: () => Promise<unknown>;
}

/**
 * Changes something at the daemon. An abort does not just cut the call off, as it would not be known then what it has done: the call
 * is waited for, and `undo` then knows whether there is something to take back.
 */
export async function change<T>(
  undo: Undo,
  signal: AbortSignal | undefined,
  { make, hasten, back }: Change<T>,
): Promise<T> {
  throwIfAborted(signal);
  const own = new AbortController();
  const running = make(own.signal);
  try {
    const result = await abortable(running, signal);
    undo.add(back);
    return result;
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    const timer = setTimeout(() => own.abort(new Error('it was given up')), GRACE_MS);
    const [outcome] = await Promise.all([
      running.then(
        () => true,
        (failure: unknown) => failure instanceof AbortError,
      ),
      quietly(hasten?.()),
    ]);
    clearTimeout(timer);
    if (outcome) undo.add(back);
    throw error;
  }
}

/** For what may fail without meaning: what is to be ended has ended. */
export async function quietly(work: Promise<unknown> | undefined): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
