/**
 * Events on their way to the daemon: one ordered queue. The head is sent until the daemon has it, so nothing overtakes
 * and nothing is lost while the daemon is away; memory is bounded, and to make room an exit is never dropped
 * (contract §4.2, §4.3). A daemon that has come back is told once its clients may be back, too, and told anew what the one
 * before it may have taken to its grave.
 */
import { performance } from 'node:perf_hooks';
import { timestamp } from '../../api/timestamp.js';
import { realtimeMillis } from '../../sys/index.js';
import { TtrpcError, Code } from '../../ttrpc/index.js';
import { Absence, type RestingAbsence } from './absence.js';
import { EventConnection } from './event-connection.js';
import { Changes } from '../observe/changes.js';
import type { Logger } from '../observe/log.js';

const ATTEMPT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Some hours of a busy pod; a few MB. */
const CAPACITY = 16_384;
const EXIT = '/tasks/exit';
/**
 * What the daemon took so shortly before its end may have reached nobody: one that is told to stop ends its clients'
 * connections first, and the shims' last.
 */
const UNHEARD_MS = 2_000;

export interface QueuedEvent {
  /** Its place in the order; the first has 1. */
  number: number;
  topic: string;
  typeUrl: string;
  value: Uint8Array;
  /** When it was published first, milliseconds since the epoch. */
  time: number;
  /**
   * It may be told twice, if the daemon ends when it has just taken it; unless this says that nobody needs it any more.
   * Without it, it is not told again.
   */
  isOver?: (() => boolean) | undefined;
  /** When a daemon took it, by performance.now(), and which. */
  taken?: { at: number; by: string };
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
  sender: {
    doing: 'idle' | 'waiting for subscribers' | 'awaiting the reply' | 'pausing';
    since: number;
  };
  sent: number;
  /** Told again to a daemon that has come back. Part of sent. */
  repeated: number;
  /** Attempts that failed, and were or will be repeated. */
  retried: number;
  /** Given up: to bound memory, for want of a daemon to send to, or refused by the daemon. */
  dropped: number;
  lastError: { text: string; time: number } | undefined;
}

/** What is left of a publisher. */
export interface RestingEvents {
  /** To be told; the bytes in base64. Absent where there was nothing. */
  readonly queue?: readonly { number: number; topic: string; typeUrl: string; value: string; time: number }[];
  readonly absence: RestingAbsence;
  readonly figures: Pick<EventsSnapshot, 'sent' | 'repeated' | 'retried' | 'dropped' | 'lastError'>;
}

export class EventPublisher {
  readonly #queue: QueuedEvent[] = [];
  #number = 0;
  /** Those that the daemon has taken lately, and that may have to be told again. */
  #unheard: QueuedEvent[] = [];
  #daemon: EventConnection | undefined;
  #sending = false;
  #closing = false;
  #closed = false;
  #dropped = 0;
  #sent = 0;
  #repeated = 0;
  #retried = 0;
  #refused = 0;
  #lastError: { text: string; time: number } | undefined;
  #sender: EventsSnapshot['sender'] = { doing: 'idle', since: Date.now() };
  #wakePause: (() => void) | undefined;
  #idle: (() => void)[] = [];

  /** @param address the daemon's ttrpc socket; without one, events are dropped */
  constructor(
    private readonly address: string,
    private readonly namespace: string,
    private readonly log: Logger,
    private readonly absence = new Absence(),
    earlier?: RestingEvents['figures'],
    private readonly changes = new Changes(),
    private readonly noteTold: (event: number) => void = () => undefined,
    /** A request is to be answered, and what it has brought about is told afterwards. */
    private readonly isAnswering: () => boolean = () => true,
  ) {
    if (!earlier) return;
    this.#sent = earlier.sent;
    this.#repeated = earlier.repeated;
    this.#retried = earlier.retried;
    this.#refused = earlier.dropped;
    this.#lastError = earlier.lastError;
  }

  /** How many wait, and how many were dropped to bound memory. */
  get stats(): { queued: number; dropped: number } {
    return { queued: this.#queue.length, dropped: this.#dropped };
  }

  describe(): EventsSnapshot {
    const [head] = this.#queue;
    return {
      address: this.address,
      connected: this.#daemon !== undefined,
      queued: this.#queue.length,
      head: head && { topic: head.topic, time: head.time },
      sender: this.#sender,
      sent: this.#sent,
      repeated: this.#repeated,
      retried: this.#retried,
      dropped: this.#dropped + this.#refused,
      lastError: this.#lastError,
    };
  }

  /**
   * Queues an event. Its place in the order is the order of these calls; never blocks, never throws.
   *
   * @param isOver see {@link QueuedEvent}
   * @returns the event as it waits, or undefined when it was dropped
   */
  publish(topic: string, typeUrl: string, value: Uint8Array, isOver?: () => boolean): QueuedEvent | undefined {
    if (!this.address || this.#closed) {
      this.#refused++;
      this.log.debug('event is dropped, there is nobody to send it to', { topic });
      return undefined;
    }
    if (this.#queue.length >= CAPACITY && !this.#makeRoom(topic)) return undefined;
    const event: QueuedEvent = { number: ++this.#number, topic, typeUrl, value, time: realtimeMillis(), isOver };
    this.#queue.push(event);
    // Before it is noted, which takes as long as it does to be sent: should this process end in between, it is told twice.
    if (topic === EXIT && this.#isReady && !this.isAnswering()) this.#sendNow();
    this.changes.note();
    this.#startSending();
    return event;
  }

  /** There is a daemon, and nothing else to tell it. */
  get #isReady(): boolean {
    return this.#daemon !== undefined && !this.#sending && this.absence.remainingMs <= 0;
  }

  #sendNow(): void {
    this.#sending = true;
    void this.#send();
  }

  #startSending(): void {
    if (this.#sending) return;
    this.#sending = true;
    // The reply to a request comes first: its event need only be queued by then, and connecting takes time.
    setImmediate(() => void this.#send());
  }

  /** A client of the daemon is there, as it has asked for something: a daemon that came back need not wait for it any more. */
  commanded(): void {
    this.absence.commanded();
    if (this.#sender.doing === 'waiting for subscribers') this.#wakePause?.();
  }

  /**
   * What is left, for the case that this process ends suddenly. What is told at this moment may be told again. That a daemon may have
   * taken something to its grave is not remembered.
   */
  restSuddenly(): RestingEvents {
    const queue = this.#queue.map(({ number, topic, typeUrl, value, time }) => ({
      number,
      topic,
      typeUrl,
      value: Buffer.from(value).toString('base64'),
      time,
    }));
    return { queue, absence: this.absence.rest(), figures: this.#figures() };
  }

  #figures(): RestingEvents['figures'] {
    const { sent, repeated, retried, dropped, lastError } = this.describe();
    return { sent, repeated, retried, dropped, lastError };
  }

  /**
   * Goes on with what another process has left in its queue.
   *
   * @param told the number of the last event that the daemon has taken from there
   */
  resume(queue: NonNullable<RestingEvents['queue']>, told: number): void {
    const left = queue.filter(({ number }) => number > told);
    if (left.length > 0) this.#putFirst(left.map((event) => ({ ...event, value: Buffer.from(event.value, 'base64') })));
  }

  #putFirst(events: readonly QueuedEvent[]): void {
    this.#queue.unshift(...events);
    // Numbers are those of the order.
    for (const event of this.#queue) event.number = ++this.#number;
    this.changes.note();
    if (!this.#closed) this.#startSending();
  }

  /** Undefined while there is something to tell the daemon, or may be again. */
  rest(): RestingEvents | undefined {
    const isBusy = this.#sending || this.#queue.length > 0 || this.#unheardLately().length > 0 || this.#closing;
    if (isBusy || this.absence.remainingMs > 0) return undefined;
    return { absence: this.absence.rest(), figures: this.#figures() };
  }

  /** Connects to the daemon, if that is still to be done: for when there is an event soon, and time now. */
  prepare(): void {
    if (this.#daemon || this.#sending || this.#closed || !this.address) return;
    try {
      this.#daemon = this.#connect();
    } catch (error) {
      // The first event meets the same, and says so.
      this.log.debug('the daemon cannot be reached before there is an event', { error });
      this.absence.lost();
    }
  }

  /**
   * True until the daemon has the event, or it was dropped; and for a moment longer for a daemon that was not there when it was
   * taken, as it may have to be told again.
   *
   * @param connectedAt when the daemon that wants to know has connected, by performance.now()
   */
  isWaiting(event: QueuedEvent, connectedAt: number): boolean {
    return this.#queue.includes(event) || (this.#unheardLately().includes(event) && connectedAt > event.taken!.at);
  }

  /** Waits until all are sent, holding nothing back, at most so long; then drops what is left and disconnects. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
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
    if (this.#queue.length > 0)
      this.log.error('events were not sent before the shim ended', { count: this.#queue.length });
    this.#queue.length = 0;
    this.#unheard.length = 0;
    this.#wakePause?.();
    this.#daemon?.close();
  }

  async #send(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    for (let head = this.#queue[0]; head && !this.#closed; head = this.#queue[0]) {
      if (await this.#forward(head)) pause = FIRST_PAUSE_MS;
      else {
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
      this.#daemon ??= this.#connect();
      if (this.absence.remainingMs > 0) await this.#hold();
      // It went away again while its clients were waited for.
      if (!this.#daemon) return false;
      if (event.taken && (event.isOver?.() || event.taken.by === this.absence.daemon)) {
        this.#remove(event);
        return true;
      }
      this.#does('awaiting the reply');
      await this.#daemon.forward({
        envelope: {
          timestamp: timestamp(event.time),
          namespace: this.namespace,
          topic: event.topic,
          event: { type_url: event.typeUrl, value: event.value },
        },
      });
      this.#sent++;
      if (event.taken) this.#repeated++;
      this.#remove(event);
      this.#remember(event);
      return true;
    } catch (error) {
      this.#lastError = { text: (error as Error).message, time: Date.now() };
      const { code } = TtrpcError.from(error);
      if (code === Code.InvalidArgument || code === Code.Unimplemented || code === Code.ResourceExhausted) {
        this.#refused++;
        this.log.error('the daemon refuses an event, which is dropped', { topic: event.topic, error });
        this.#remove(event);
        return true;
      }
      this.#retried++;
      this.log.debug('an event could not be sent yet', { topic: event.topic, error });
      this.#daemon?.close();
      this.#lost();
      return false;
    }
  }

  /** Waits until the clients of a daemon that has come back may have come back. */
  async #hold(): Promise<void> {
    for (let ms = this.absence.remainingMs; ms > 0 && this.#daemon && !this.#closing; ms = this.absence.remainingMs) {
      if (this.#sender.doing !== 'waiting for subscribers') this.#does('waiting for subscribers');
      await this.#pause(ms);
    }
  }

  /** It may have been dropped meanwhile to make room. */
  #remove(event: QueuedEvent): void {
    const at = this.#queue.indexOf(event);
    if (at >= 0) this.#queue.splice(at, 1);
    if (at === 0) this.noteTold(event.number);
  }

  #remember(event: QueuedEvent): void {
    if (!event.isOver) return;
    event.taken = { at: performance.now(), by: this.absence.daemon };
    this.#unheard = [...this.#unheardLately(), event];
  }

  #unheardLately(): QueuedEvent[] {
    const since = performance.now() - UNHEARD_MS;
    return this.#unheard.filter(({ taken, isOver }) => taken!.at > since && !isOver!());
  }

  /** What may have reached nobody is told again, before anything else. Until then it counts as waiting. */
  #lost(): void {
    this.#daemon = undefined;
    this.absence.lost();
    const unheard = this.#unheardLately();
    this.#unheard = [];
    if (this.#sender.doing === 'waiting for subscribers') this.#wakePause?.();
    if (unheard.length > 0) this.#putFirst(unheard);
    else if (this.#queue.length > 0 && !this.#closed) this.#startSending();
  }

  #does(doing: EventsSnapshot['sender']['doing']): void {
    this.#sender = { doing, since: Date.now() };
  }

  #connect(): EventConnection {
    const path = this.address.replace(/^unix:\/\//, '');
    const daemon = EventConnection.open(path, this.namespace, ATTEMPT_MS);
    this.absence.back(path);
    void daemon.closed.then(() => {
      if (this.#daemon === daemon) this.#lost();
    });
    return daemon;
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
    this.changes.note();
    this.#dropped++;
    this.log.error('too many events wait for the daemon, one is dropped', { topic: dropped, dropped: this.#dropped });
    return at >= 0;
  }
}
