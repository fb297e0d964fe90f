import { ContainerdServicesStreamingV1Streaming, containerd, errdefs, google, isType, pack } from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';

type Any = google.protobuf.Any.$Properties;

const { StreamInit } = containerd.services.streaming.v1;

/** A stream that a client has opened for a later request to name. */
export interface OpenStream {
  /** What the client sends. */
  readonly received: AsyncIterator<Any>;
  /** Queues something for the client. */
  send(message: Any): void;
  close(): void;
}

/** Streams by their ids, in each namespace apart. */
export class Streams {
  readonly #open = new Map<string, OpenStream>();

  /** NotFound when the client has not opened it, or gave it up. */
  get(namespace: string, id: string): OpenStream {
    const found = this.#open.get(`${namespace} ${id}`);
    if (found === undefined) throw errdefs.notFound(`stream ${JSON.stringify(id)}`);
    return found;
  }

  /** Keeps a stream for as long as the client has it open and nobody has closed it. */
  async *serve(namespace: string, requests: AsyncIterable<Any>, signal: AbortSignal): AsyncGenerator<Any> {
    const received = requests[Symbol.asyncIterator]();
    const first = await received.next();
    if (first.done === true || !isType(first.value, 'containerd.services.streaming.v1.StreamInit'))
      throw errdefs.invalidArgument('a stream begins with its id, in a StreamInit');
    const { id } = StreamInit.decode(first.value.value ?? new Uint8Array(0));
    const key = `${namespace} ${id}`;
    if (this.#open.has(key)) throw errdefs.alreadyExists(`stream ${JSON.stringify(id)}`);
    const queue = new Queue();
    signal.addEventListener('abort', () => queue.close(), { once: true });
    this.#open.set(key, { received, send: (message) => queue.push(message), close: () => queue.close() });
    try {
      // That it is there, and can be named.
      yield pack('google.protobuf.Empty', google.protobuf.Empty, {});
      yield* queue.items();
    } finally {
      this.#open.delete(key);
    }
  }
}

class Queue {
  readonly #items: Any[] = [];
  #closed = false;
  #wake = (): void => undefined;

  push(item: Any): void {
    if (this.#closed) return;
    this.#items.push(item);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *items(): AsyncGenerator<Any> {
    for (;;) {
      for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) yield item;
      if (this.#closed) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** The Streaming service. */
export function streamingService(streams: Streams): BoundService {
  return bindService(ContainerdServicesStreamingV1Streaming, {
    Stream: (requests, { namespace, signal }) => streams.serve(namespace, requests, signal),
  });
}
