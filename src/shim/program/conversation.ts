/** What a monitor says of itself, and what it is told: lines of words with tabs between them (monitor/replace.c). */
import type { Socket } from 'node:net';

/** How a monitor introduces itself. */
export interface Monitor {
  /** Of the table that it would leave. */
  readonly tableFormat: number;
  /** Of the record that its worker has left; -1 where there is a worker. */
  readonly recordFormat: number;
  readonly build: string;
  readonly library: string;
}

/** What it has come to: another program is there, or could be, or why not; or the shim was about to end. */
export type Answer = { readonly how: 'runs' | 'could' | 'over' } | { readonly how: 'no'; readonly why: string };

export class Conversation {
  #text = '';
  #isOver = false;
  #heard: () => void = () => undefined;

  constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text += text;
      this.#heard();
    });
    socket.on('close', () => {
      this.#isOver = true;
      this.#heard();
    });
  }

  close(): void {
    this.socket.destroy();
  }

  /** Undefined when it says nothing within the time, or nothing that is understood. */
  async monitor(patienceMs: number): Promise<Monitor | { readonly no: string } | undefined> {
    const [kind, ...words] = (await this.#line(patienceMs)) ?? [];
    if (kind === 'no') return { no: words.join(' ') };
    const [tableFormat, recordFormat, , build, library] = words;
    if (kind !== 'shim' || build === undefined || library === undefined) return undefined;
    return { tableFormat: Number(tableFormat), recordFormat: Number(recordFormat), build, library };
  }

  /** Undefined when no answer comes within the time, or the other end has gone. */
  async order(words: readonly (string | number)[], patienceMs: number): Promise<Answer | undefined> {
    this.socket.write(`${words.join('\t')}\n`);
    const [kind, ...rest] = (await this.#line(patienceMs)) ?? [];
    if (kind === 'no') return { how: 'no', why: rest.join(' ') };
    return kind === 'runs' || kind === 'could' || kind === 'over' ? { how: kind } : undefined;
  }

  async #line(patienceMs: number): Promise<string[] | undefined> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line.split('\t');
      }
      const left = until - performance.now();
      if (this.#isOver || left <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
