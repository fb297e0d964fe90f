/**
 * Events on their way to the daemon: one ordered queue. The head is sent until the daemon has it, so nothing overtakes
 * and nothing is lost while the daemon is away; memory is bounded, and to make room an exit is never dropped
 * (contract §4.2, §4.3).
 */
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../api/gen/services.js';
import { timestamp } from '../api/timestamp.js';
import { realtimeMillis } from '../sys/index.js';
import { Client, connect, TtrpcError, Code } from '../ttrpc/index.js';
import type { Logger } from './log.js';

const ATTEMPT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Some hours of a busy pod; a few MB. */
const CAPACITY = 16_384;
const EXIT = '/tasks/exit';

export interface QueuedEvent {
  topic: string;
  typeUrl: string;
  value: Uint8Array;
  /** When it was published first, milliseconds since the epoch. */
  time: number;
}

/** For the state dump. Times are milliseconds since the epoch. */
export interface EventsSnapshot {
  /** Where the daemon listens; empty when it was not told. */
  address: string;
  connected: boolean;
  queued: number;
  /** What is being sent; the first in the queue. */
  head: { topic: string; time: number } | undefined;
  /** What the sender does at this moment, and since when. */
  sender: { doing: 'idle' | 'connecting' | 'awaiting the reply' | 'pausing'; since: number };
  sent: number;
  /** Attempts that failed, and were or will be repeated. */
  retried: number;
  /** Given up: to bound memory, for want of a daemon to send to, or refused by the daemon. */
  dropped: number;
  lastError: { text: string; time: number } | undefined;
}

export class EventPublisher {
  readonly #queue: QueuedEvent[] = [];
  #client: Client | undefined;
  #sending = false;
  #closed = false;
  #dropped = 0;
  #sent = 0;
  #retried = 0;
  #refused = 0;
  #lastError: { text: string; time: number } | undefined;
  #sender: EventsSnapshot['sender'] = { doing: 'idle', since: Date.now() };
  #wakePause: (() => void) | undefined;
  #idle: (() => void)[] = [];

  /** @param address the daemon's ttrpc socket; without one, events are dropped */
  constructor(private readonly address: string, private readonly namespace: string, private readonly log: Logger) {}

  /** How many wait, and how many were dropped to bound memory. */
  get stats(): { queued: number; dropped: number } {
    return { queued: this.#queue.length, dropped: this.#dropped };
  }

  describe(): EventsSnapshot {
    const [head] = this.#queue;
    return {
      address: this.address, connected: this.#client !== undefined, queued: this.#queue.length,
      head: head && { topic: head.topic, time: head.time }, sender: this.#sender,
      sent: this.#sent, retried: this.#retried, dropped: this.#dropped + this.#refused, lastError: this.#lastError,
    };
  }

  /**
   * Queues an event. Its place in the order is the order of these calls; never blocks, never throws.
   *
   * @returns the event as it waits, or undefined when it was dropped
   */
  publish(topic: string, typeUrl: string, value: Uint8Array): QueuedEvent | undefined {
    if (!this.address || this.#closed) {
      this.#refused++;
      this.log.debug('event is dropped, there is nobody to send it to', { topic });
      return undefined;
    }
    if (this.#queue.length >= CAPACITY && !this.#makeRoom(topic)) return undefined;
    const event = { topic, typeUrl, value, time: realtimeMillis() };
    this.#queue.push(event);
    if (!this.#sending) {
      this.#sending = true;
      // The reply to a request comes first: its event need only be queued by then, and connecting takes time.
      setImmediate(() => void this.#send());
    }
    return event;
  }

  /** Connects to the daemon, if that is still to be done: for when there is an event soon, and time now. */
  prepare(): void {
    if (this.#client || this.#sending || this.#closed || !this.address) return;
    this.#sending = true;
    void this.#connectEarly();
  }

  async #connectEarly(): Promise<void> {
    this.#does('connecting');
    try {
      this.#client = await this.#connect();
    } catch (error) {
      // The first event meets the same, and says so.
      this.log.debug('the daemon cannot be reached before there is an event', { error });
    }
    await this.#send();
  }

  /** True until the daemon has the event, or it was dropped. */
  isWaiting(event: QueuedEvent): boolean {
    return this.#queue.includes(event);
  }

  /** Waits until all are sent, at most so long; then drops what is left and disconnects. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#queue.length > 0 && this.#sending) {
      // A pause between attempts would only waste what time is left.
      this.#wakePause?.();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#idle.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    this.#closed = true;
    if (this.#queue.length > 0) this.log.error('events were not sent before the shim ended', { count: this.#queue.length });
    this.#queue.length = 0;
    this.#wakePause?.();
    this.#client?.close();
  }

  async #send(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    for (let head = this.#queue[0]; head && !this.#closed; head = this.#queue[0]) {
      if (await this.#forward(head)) {
        // The head may have been dropped meanwhile to make room.
        if (this.#queue[0] === head) this.#queue.shift();
        pause = FIRST_PAUSE_MS;
      } else {
        this.#does('pausing');
        await this.#pause(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
    this.#sending = false;
    this.#does('idle');
    for (const wake of this.#idle.splice(0)) wake();
  }

  /** True when the event is done with: delivered, or refused in a way that no repetition mends. */
  async #forward(event: QueuedEvent): Promise<boolean> {
    try {
      if (!this.#client) this.#does('connecting');
      this.#client ??= await this.#connect();
      this.#does('awaiting the reply');
      await this.#client.service(Events).Forward({
        envelope: {
          timestamp: timestamp(event.time),
          namespace: this.namespace,
          topic: event.topic,
          event: { type_url: event.typeUrl, value: event.value },
        },
      }, { timeoutMs: ATTEMPT_MS, metadata: { 'containerd-namespace-ttrpc': this.namespace } });
      this.#sent++;
      return true;
    } catch (error) {
      this.#lastError = { text: (error as Error).message, time: Date.now() };
      const { code } = TtrpcError.from(error);
      if (code === Code.InvalidArgument || code === Code.Unimplemented || code === Code.ResourceExhausted) {
        this.#refused++;
        this.log.error('the daemon refuses an event, which is dropped', { topic: event.topic, error });
        return true;
      }
      this.#retried++;
      this.log.debug('an event could not be sent yet', { topic: event.topic, error });
      this.#client?.close();
      this.#client = undefined;
      return false;
    }
  }

  #does(doing: EventsSnapshot['sender']['doing']): void {
    this.#sender = { doing, since: Date.now() };
  }

  async #connect(): Promise<Client> {
    const client = await connect(this.address.replace(/^unix:\/\//, ''), { timeoutMs: ATTEMPT_MS });
    // Nobody would close it any more.
    if (this.#closed) client.close();
    void client.closed.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakePause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Drops the oldest event that is no exit, or else the new one. False when there is no room for it. */
  #makeRoom(topic: string): boolean {
    const at = this.#queue.findIndex((event) => event.topic !== EXIT);
    // Each exit has had a process of its own, so there is an end to them.
    if (at < 0 && topic === EXIT) return true;
    const dropped = at < 0 ? topic : this.#queue.splice(at, 1)[0]?.topic;
    this.#dropped++;
    this.log.error('too many events wait for the daemon, one is dropped', { topic: dropped, dropped: this.#dropped });
    return at >= 0;
  }
}
