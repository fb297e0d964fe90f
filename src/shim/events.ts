/**
 * Events on their way to the daemon: one ordered queue. The head is sent until the daemon has it, so nothing overtakes
 * and nothing is lost while the daemon is away; memory is bounded, and to make room an exit is never dropped
 * (contract §4.2, §4.3).
 */
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../api/gen/services.js';
import { timestamp } from '../api/timestamp.js';
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

export class EventPublisher {
  readonly #queue: QueuedEvent[] = [];
  #client: Client | undefined;
  #sending = false;
  #closed = false;
  #dropped = 0;
  #wakePause: (() => void) | undefined;
  #idle: (() => void)[] = [];

  /** @param address the daemon's ttrpc socket; without one, events are dropped */
  constructor(private readonly address: string, private readonly namespace: string, private readonly log: Logger) {}

  /** How many wait, and how many were dropped to bound memory. */
  get stats(): { queued: number; dropped: number } {
    return { queued: this.#queue.length, dropped: this.#dropped };
  }

  /** Queues an event. Its place in the order is the order of these calls; never blocks, never throws. */
  publish(topic: string, typeUrl: string, value: Uint8Array): void {
    if (!this.address || this.#closed) {
      this.log.debug('event is dropped, there is nobody to send it to', { topic });
      return;
    }
    if (this.#queue.length >= CAPACITY && !this.#makeRoom(topic)) return;
    this.#queue.push({ topic, typeUrl, value, time: Date.now() });
    if (this.#sending) return;
    this.#sending = true;
    // The reply to a request comes first: its event need only be queued by then, and connecting takes time.
    setImmediate(() => void this.#send());
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
        await this.#pause(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
    this.#sending = false;
    for (const wake of this.#idle.splice(0)) wake();
  }

  /** True when the event is done with: delivered, or refused in a way that no repetition mends. */
  async #forward(event: QueuedEvent): Promise<boolean> {
    try {
      this.#client ??= await this.#connect();
      await this.#client.service(Events).Forward({
        envelope: {
          timestamp: timestamp(event.time),
          namespace: this.namespace,
          topic: event.topic,
          event: { type_url: event.typeUrl, value: event.value },
        },
      }, { timeoutMs: ATTEMPT_MS, metadata: { 'containerd-namespace-ttrpc': this.namespace } });
      return true;
    } catch (error) {
      const { code } = TtrpcError.from(error);
      if (code === Code.InvalidArgument || code === Code.Unimplemented || code === Code.ResourceExhausted) {
        this.log.error('the daemon refuses an event, which is dropped', { topic: event.topic, error });
        return true;
      }
      this.log.debug('an event could not be sent yet', { topic: event.topic, error });
      this.#client?.close();
      this.#client = undefined;
      return false;
    }
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
