/** The copies of a process's output, from its pipes or its terminal to where it goes. */
import { bytesWaiting } from '../../sys/index.js';
import { Pump, type PumpOptions } from './pump.js';
import { settled } from './settle.js';
import { CannotRest, type Copied, type Leaving, type Sink } from '../worker/leaving.js';
import type { Target } from './target.js';

interface Copy {
  readonly source: number;
  readonly target: Target;
  readonly pump: Pump;
  readonly done: Promise<void>;
  readonly end: () => void;
}

export class Copies {
  readonly #copies = new Map<string, Copy>();
  readonly #targets = new Set<Target>();

  constructor(
    private readonly id: string,
    private readonly warn: (text: string) => void,
    private readonly counters: PumpOptions['counters'],
  ) {}

  /** These are waited for too, though nothing is copied into them. */
  add(target: Target): void {
    this.#targets.add(target);
  }

  /**
   * Copies until the source ends; `onEnd` comes once, then or with stop().
   *
   * @param first what was read of the source before
   */
  start(name: string, source: number, target: Target, onEnd: () => void, first?: Buffer): void {
    this.#targets.add(target);
    let end: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (end = resolve));
    const pump = new Pump(source, target.sink(), {
      counters: this.counters,
      ...(first ? { first } : {}),
      onEnd: () => this.stop(name),
      onSinkError: (error) => this.warn(`${name} of ${this.id} is dropped from now on: ${error.message}`),
    });
    this.#copies.set(name, {
      source,
      target,
      pump,
      done,
      end: () => {
        // At once, not at Delete: clients wait for the end of the output before they delete (contract §6.6).
        target.ended();
        onEnd();
        end();
      },
    });
  }

  /** Goes on with what the monitor has copied meanwhile. */
  resume(name: string, source: number, target: Target, onEnd: () => void, { held, bytes }: Copied): void {
    this.counters.bytesCopied += bytes;
    this.start(name, source, target, onEnd, target.wasCopied(bytes, held));
  }

  has(name: string): boolean {
    return this.#copies.has(name);
  }

  /** Leaves all to the monitor. @throws CannotRest */
  rest(leaving: Leaving, source: (name: string) => number, into: (name: string) => Sink | undefined): string[] {
    for (const [name, { pump }] of this.#copies)
      if (!leaving.isSudden && !pump.rest())
        throw new CannotRest(`${name} of ${this.id} is not where its client finds it`);
    for (const name of this.#copies.keys()) leaving.copies(source(name), into(name));
    return [...this.#copies.keys()];
  }

  /** Nothing more will be written to the source: what is left in it is copied, then it ends. */
  finish(name: string): void {
    this.#copies.get(name)?.pump.finish();
  }

  stop(name: string): void {
    const copy = this.#copies.get(name);
    this.#copies.delete(name);
    copy?.pump.stop();
    copy?.end();
  }

  stopAll(): void {
    for (const name of [...this.#copies.keys()]) this.stop(name);
  }

  /** True when all output is where the client finds it; false when it is not within the time. */
  async drained(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    for (const { source, target } of this.#copies.values()) target.lastCall(source);
    if (!(await settled(timeoutMs, ...[...this.#copies.values()].map(({ done }) => done)))) return false;
    const results = await Promise.all(
      [...this.#targets].map((target) => target.drained(Math.max(0, deadline - Date.now()))),
    );
    return results.every(Boolean);
  }

  /** Bytes on their way. */
  unread(): number {
    return [...this.#copies.values()].reduce((sum, { source, pump }) => sum + pump.pending + bytesWaiting(source), 0);
  }

  names(): string[] {
    return [...this.#copies.keys()];
  }
}
