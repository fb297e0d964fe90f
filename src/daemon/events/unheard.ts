/** Exits that shims told a daemon that has just started, before its clients had found it again. */
import { performance } from 'node:perf_hooks';
import type { Filter } from '../filter/index.js';
import { envelopeAdapter } from './envelope.js';
import type { Envelope } from './types.js';

/** A gRPC client tries again after two minutes at the latest. */
const WINDOW_MS = 120_000;
const MOST = 10_000;

/**
 * A client that follows events, such as dockerd, does not ask for states when its daemon comes back. A shim is mostly faster than
 * the client, so an exit while the daemon was away would be lost between them. For the first minutes exits that nobody has heard
 * are kept for whoever subscribes then.
 */
export class UnheardExits {
  #kept: Envelope[] = [];
  readonly #until: number;

  constructor(windowMs = WINDOW_MS) {
    this.#until = performance.now() + windowMs;
  }

  keep(envelope: Envelope): void {
    if (envelope.topic === '/tasks/exit' && this.#isOpen() && this.#kept.length < MOST) this.#kept.push(envelope);
  }

  /** Those that match, in the order in which they came. */
  matching(filter: Filter): Envelope[] {
    return this.#isOpen() ? this.#kept.filter((envelope) => filter(envelopeAdapter(envelope))) : [];
  }

  #isOpen(): boolean {
    if (performance.now() < this.#until) return true;
    this.#kept = [];
    return false;
  }
}
