/** When what happened, from the launch on: for "where did the milliseconds go" (`hawser trace`). */
import { realtimeMillis } from '../../sys/index.js';

/** What containers do later pushes nothing of their first steps out. */
const FIRST = 48;
const LAST = 48;

export interface Moment {
  what: string;
  /** Milliseconds since the epoch, with fractions. */
  at: number;
  container?: string;
}

export class Timeline {
  readonly #first: Moment[] = [];
  readonly #last: Moment[] = [];
  /** As JSON, as they are written again and again, and stay as they are: each with a comma before it. */
  #firstText = '';
  #lastText = '';
  /** Of each of the last. */
  readonly #lastLengths: number[] = [];

  /** Notes that something happens now. */
  mark(what: string, container?: string): void {
    this.note(container ? { what, at: realtimeMillis(), container } : { what, at: realtimeMillis() });
  }

  /** Notes what happened elsewhere, such as in the launcher. */
  note(moment: Moment): void {
    const text = `,${JSON.stringify(moment)}`;
    if (this.#first.length < FIRST) {
      this.#first.push(moment);
      this.#firstText += text;
      return;
    }
    this.#last.push(moment);
    this.#lastText += text;
    this.#lastLengths.push(text.length);
    if (this.#last.length <= LAST) return;
    this.#last.shift();
    this.#lastText = this.#lastText.slice(this.#lastLengths.shift());
  }

  /** Goes on from what another process has noted, which comes first. */
  resume(moments: readonly Moment[]): void {
    const since = [...this.#first.splice(0), ...this.#last.splice(0)];
    this.#firstText = '';
    this.#lastText = '';
    this.#lastLengths.length = 0;
    for (const moment of [...moments, ...since]) this.note(moment);
  }

  /** For another process to go on with. What was noted late is in no order. */
  rest(): Moment[] {
    return [...this.#first, ...this.#last];
  }

  /** What {@link rest} gives, as JSON. */
  restText(): string {
    return `[${(this.#firstText + this.#lastText).slice(1)}]`;
  }

  /** The first moments and the last, in their order. */
  moments(): Moment[] {
    return this.rest().sort((a, b) => a.at - b.at);
  }
}
