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
 * are kept for whoever subscribes then: those of tasks that an earlier daemon has created and that nobody has deleted since, as
 * somebody who listens to a new task has no use for the end of another of its name.
 */
export class UnheardExits {
  #kept: { key: string; envelope: Envelope }[] = [];
  /** Tasks that were created since the start. */
  readonly #created = new Set<string>();
  readonly #until: number;

  constructor(windowMs = WINDOW_MS) {
    this.#until = performance.now() + windowMs;
  }

  /** Every event, whoever tells it and whoever hears it. */
  see(envelope: Envelope): void {
    if ((envelope.topic !== '/tasks/create' && envelope.topic !== '/tasks/delete') || !this.#isOpen()) return;
    const key = keyOf(envelope);
    if (envelope.topic === '/tasks/create') this.#created.add(key);
    this.#kept = this.#kept.filter((one) => one.key !== key);
  }

  keep(envelope: Envelope): void {
    if (envelope.topic !== '/tasks/exit' || !this.#isOpen() || this.#kept.length >= MOST) return;
    const key = keyOf(envelope);
    if (!this.#created.has(key)) this.#kept.push({ key, envelope });
  }

  /** Those that match, in the order in which they came. */
  matching(filter: Filter): Envelope[] {
    return this.#isOpen()
      ? this.#kept.map(({ envelope }) => envelope).filter((envelope) => filter(envelopeAdapter(envelope)))
      : [];
  }

  #isOpen(): boolean {
    if (performance.now() < this.#until) return true;
    this.#kept = [];
    this.#created.clear();
    return false;
  }
}

/** The task that an event is about. */
function keyOf(envelope: Envelope): string {
  return `${envelope.namespace ?? ''}/${envelopeAdapter(envelope)(['event', 'container_id']) ?? ''}`;
}
