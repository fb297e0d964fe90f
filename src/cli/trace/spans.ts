/** What took how long: spans on one time line, from several witnesses. */
import { performance } from 'node:perf_hooks';

/** Who tells of it. */
export type Witness = 'client' | 'daemon' | 'shim' | 'container';

export interface Span {
  readonly witness: Witness;
  readonly name: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly start: number;
  /** The same as `start` for a moment. */
  readonly end: number;
}

/** Milliseconds since the epoch, with fractions, that never go back. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

export class Recorder {
  readonly spans: Span[] = [];

  add(witness: Witness, name: string, start: number, end = start): void {
    this.spans.push({ witness, name, start, end });
  }

  /** Something that happened now. */
  mark(witness: Witness, name: string): void {
    this.add(witness, name, now());
  }

  /** Measures work; what fails is measured, too. */
  async measure<T>(name: string, work: () => Promise<T>): Promise<T> {
    const start = now();
    try {
      return await work();
    } finally {
      this.add('client', name, start, now());
    }
  }
}

/** By their beginnings; of those that begin together the longer first, as it may hold the other. */
export function inOrder(spans: readonly Span[]): Span[] {
  return [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
}
