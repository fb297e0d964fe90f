/** The exchange: every event to everyone who has asked for such events. */
import { setMaxListeners } from 'node:events';
import { google } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, type Filter } from '../filter/index.js';
import { checkEnvelope, envelopeAdapter } from './envelope.js';
import { RecentEvents } from './recent.js';
import { Subscriber } from './subscriber.js';
import type { Envelope, Exchange, Window } from './types.js';
import type { UnheardExits } from './unheard.js';

/** How much may wait for one subscriber, in bytes. */
const QUEUE_LIMIT = 16 * 1024 * 1024;

/** What an envelope takes besides its event, roughly. */
const ENVELOPE_SIZE = 256;

export class EventExchange implements Exchange {
  readonly #subscribers = new Map<Subscriber<Envelope>, Filter>();
  readonly #recent = new RecentEvents();

  /**
   * @param queueLimit bytes that may wait for a subscriber who does not read, before it is cut off: see {@link Subscriber}
   * @param unheard keeps what shims tell while nobody listens yet; without it that is lost
   */
  constructor(
    private readonly queueLimit = QUEUE_LIMIT,
    private readonly unheard?: UnheardExits,
  ) {}

  /** How many subscribe now. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  publish(namespace: string, topic: string, event: google.protobuf.Any.$Properties): void {
    this.#send({ timestamp: realtime(), namespace, topic, event });
  }

  forward(envelope: Envelope): void {
    if (!this.#send(envelope)) this.unheard?.keep(envelope);
  }

  subscribe(filters: readonly string[], signal: AbortSignal, window: Partial<Window> = {}): AsyncIterable<Envelope> {
    const filter = compileFilters(filters);
    const subscriber = new Subscriber<Envelope>(this.queueLimit, () => {
      this.#subscribers.delete(subscriber);
      signal.removeEventListener('abort', aborted);
    });
    const aborted = (): void => subscriber.end();
    const { since, until } = window;
    this.#subscribers.set(subscriber, filter);
    // Those that nobody has heard are among the recent ones.
    const earlier =
      since === undefined ? this.unheard?.matching(filter) : this.#recent.matching(filter, { since, until });
    for (const envelope of earlier ?? []) subscriber.push(envelope, sizeOf(envelope));
    if (signal.aborted) subscriber.end();
    else if (until !== undefined && until <= BigInt(Date.now()) * 1_000_000n) subscriber.finish();
    else {
      // Any number of subscriptions may hang on one signal; Node would take more than ten for a leak.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', aborted);
    }
    return subscriber;
  }

  /** Whether anybody has heard it. */
  #send(envelope: Envelope): boolean {
    checkEnvelope(envelope);
    this.unheard?.see(envelope);
    this.#recent.see(envelope, sizeOf(envelope));
    const adapt = envelopeAdapter(envelope);
    let heard = false;
    for (const [subscriber, filter] of this.#subscribers) {
      if (!filter(adapt)) continue;
      subscriber.push(envelope, sizeOf(envelope));
      heard = true;
    }
    return heard;
  }
}

function sizeOf({ event }: Envelope): number {
  return ENVELOPE_SIZE + (event?.value?.length ?? 0);
}
