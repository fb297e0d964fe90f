/** One line on a terminal that says how far something has come. Elsewhere nothing is shown. */
import { decimalSize } from '../format/size.js';
import { shorten } from '../format/table.js';

const BAR = 24;
/** Shown no more often than this. */
const EVERY_MS = 50;

export class ProgressLine {
  readonly #shown: boolean;
  #last = 0;
  #what = '';

  constructor(
    wanted: boolean,
    private readonly out: NodeJS.WriteStream = process.stderr,
  ) {
    this.#shown = wanted && out.isTTY;
  }

  /** @param at so many bytes, or layers, of `total` */
  show(step: string, what: string, at: number, total: number): void {
    const now = Date.now();
    if (!this.#shown || (now - this.#last < EVERY_MS && this.#what === what && at < total)) return;
    [this.#last, this.#what] = [now, what];
    const part = total > 0 ? Math.min(1, at / total) : 0;
    const filled = Math.round(part * BAR);
    const figures =
      step === 'unpacking' ? `${at}/${total}` : `${decimalSize(at)}${total > 0 ? `/${decimalSize(total)}` : ''}`;
    const text = `${step.padEnd(9)} ${shorten(what, 28).padEnd(28)} [${'='.repeat(filled)}${' '.repeat(BAR - filled)}] ${figures}`;
    this.out.write(`\r\x1b[K${shorten(text, (this.out.columns || 80) - 1)}`);
  }

  /** Leaves the line empty. */
  end(): void {
    if (this.#shown && this.#last > 0) this.out.write('\r\x1b[K');
  }
}
