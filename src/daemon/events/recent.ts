/** The last events, for who asks what has happened. */
import { errdefs } from '../../api/full.js';
import { SINCE_HEADER, UNTIL_HEADER } from '../../api/recent-events.js';
import type { Filter } from '../filter/index.js';
import type { Call } from '../grpc/service.js';
import { envelopeAdapter } from './envelope.js';
import type { Envelope, Window } from './types.js';

/** So many are kept, and no more bytes of them than these. */
const MOST = 1000;
const MOST_BYTES = 1 << 20;

export class RecentEvents {
  static readonly most = MOST;
  #all: { readonly envelope: Envelope; readonly size: number }[] = [];
  #bytes = 0;

  /** Every event. */
  see(envelope: Envelope, size: number): void {
    this.#all.push({ envelope, size });
    this.#bytes += size;
    // Now and then more than one: shift() of a long array would move all of it each time.
    if (this.#all.length < MOST * 2 && this.#bytes <= MOST_BYTES * 2) return;
    let first = Math.max(0, this.#all.length - MOST);
    let bytes = this.#all.slice(first).reduce((sum, one) => sum + one.size, 0);
    for (; bytes > MOST_BYTES; first++) bytes -= this.#all[first]!.size;
    this.#all = this.#all.slice(first);
    this.#bytes = bytes;
  }

  /** Those that match, in the order in which they came. */
  matching(filter: Filter, { since = 0n, until }: Window): Envelope[] {
    return this.#all
      .slice(-MOST)
      .map(({ envelope }) => envelope)
      .filter((envelope) => {
        const time = timeOf(envelope);
        return time >= since && (until === undefined || time <= until) && filter(envelopeAdapter(envelope));
      });
  }
}

function timeOf({ timestamp }: Envelope): bigint {
  return BigInt(Number(timestamp?.seconds ?? 0)) * 1_000_000_000n + BigInt(timestamp?.nanos ?? 0);
}

/** @throws InvalidArgument for a header that is no number */
export function windowOf(call: Pick<Call, 'header'>): Window {
  const read = (name: string): bigint | undefined => {
    const text = call.header(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,20}$/.test(text))
      throw errdefs.invalidArgument(`header ${name}: ${JSON.stringify(text)} is no number of nanoseconds since 1970`);
    return BigInt(text);
  };
  return { since: read(SINCE_HEADER), until: read(UNTIL_HEADER) };
}
