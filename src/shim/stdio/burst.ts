/**
 * One run of a thread that copies where a file may hold it up, for as long as its disk likes: nobody waits for its end, so it
 * has descriptors of its own.
 */
import { closeSync } from 'node:fs';
import { copyDescriptor, Relay, SysError, type EntryStream, type RelayState } from '../../sys/index.js';

/** What a burst has come to. */
export interface Done {
  /** Bytes. */
  copied: number;
  /** What was read and is not written; for a log, entries. */
  left: Buffer;
  /** What it would need to go on; undefined when there was none. */
  state: RelayState | undefined;
}

export class Burst {
  #relay: Relay | undefined;
  #stopped = false;

  /**
   * @param source stays the caller's, who may close it meanwhile
   * @param sink gives a descriptor, which is the burst's from then on; or undefined, and nothing is copied
   * @param onDone called once, never within this call: nothing is read of the source any more
   * @param stream the sink is a log, and gets entries of this stream
   */
  constructor(
    source: number,
    sink: () => Promise<number | undefined>,
    onDone: (done: Done) => void,
    first?: Buffer,
    private readonly stream?: EntryStream,
  ) {
    void this.#run(source, sink, first).then(onDone);
  }

  /** It ends as soon as it can. */
  stop(): void {
    this.#stopped = true;
    this.#relay?.stop();
  }

  async #run(source: number, open: () => Promise<number | undefined>, first: Buffer = Buffer.alloc(0)): Promise<Done> {
    const nothing: Done = { copied: 0, left: first, state: undefined };
    let [own, sink]: (number | undefined)[] = [];
    try {
      own = copyDescriptor(source);
      sink = await open();
      return sink === undefined || this.#stopped ? nothing : await this.#copy(new Relay(own, sink, first, this.stream));
    } catch (error) {
      // No thread, no descriptor, no memory: its caller can do without.
      if (!(error instanceof SysError)) throw error;
      return nothing;
    } finally {
      for (const fd of [own, sink]) if (fd !== undefined) closeSync(fd);
    }
  }

  async #copy(relay: Relay): Promise<Done> {
    try {
      this.#relay = relay;
      await new Promise<void>((resolve) => relay.start(resolve));
      relay.join();
      return { copied: relay.copied, left: relay.take(), state: relay.state };
    } finally {
      this.#relay = undefined;
      relay.close();
    }
  }
}
