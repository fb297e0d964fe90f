/** How far a pull or a push has come, as lines. */
import { decimalSize } from '../format/size.js';
import { shorten } from '../format/table.js';

const BAR = 24;
/** The rate is that of the last moments. */
const WINDOW_MS = 3_000;

/** One blob on its way. */
interface Part {
  at: number;
  total: number;
  begun: boolean;
}

/** What is told of it: a step, the thing, and how much of it is done. */
export interface Transferred {
  readonly step: string;
  readonly what: string;
  readonly at: number;
  readonly total: number;
}

export class TransferView {
  readonly #parts = new Map<string, Part>();
  readonly #moments: { time: number; bytes: number }[] = [];
  #unpacked: { at: number; total: number } | undefined;
  #bytes = 0;

  /** @param verb what is done with the blobs: `pulling` */
  constructor(
    readonly name: string,
    readonly verb: string,
  ) {}

  update({ step, what, at, total }: Transferred, now: number): void {
    if (step === 'unpack') this.#unpacked = { at, total };
    if (step !== 'fetch' && step !== 'push') return;
    const part = this.#parts.get(what);
    if (part === undefined) {
      this.#parts.set(what, { at, total, begun: at > 0 });
      return;
    }
    // What was there before it began has not come by the line.
    if (part.begun && at > part.at) this.#bytes += at - part.at;
    Object.assign(part, { at, total, begun: true });
    this.#moments.push({ time: now, bytes: this.#bytes });
    while (this.#moments.length > 2 && now - this.#moments[0]!.time > WINDOW_MS) this.#moments.shift();
  }

  /** Bytes in a second; undefined before that can be said. */
  rate(now: number): number | undefined {
    const first = this.#moments[0];
    if (first === undefined || now - first.time < 500) return undefined;
    return ((this.#bytes - first.bytes) * 1000) / (now - first.time);
  }

  /** At most so many lines: all in all, and the blobs that are under way. */
  lines(columns: number, rows: number, now: number): string[] {
    const parts = [...this.#parts];
    const [at, total] = parts.reduce(([a, b], [, part]) => [a + part.at, b + part.total], [0, 0]);
    const rate = this.rate(now);
    const unpacking = this.#unpacked === undefined ? '' : `, unpacked ${this.#unpacked.at}/${this.#unpacked.total}`;
    const head =
      parts.length === 0
        ? `${this.verb} ${this.name}`
        : `${this.verb} ${this.name} ${decimalSize(at)}/${decimalSize(total)}${rate === undefined ? '' : ` ${decimalSize(rate)}/s`}${unpacking}`;
    const underWay = parts.filter(([, part]) => part.at < part.total);
    const shown = underWay.slice(0, Math.max(0, rows - 1)).map(([digest, part]) => row(digest, part));
    return [head, ...shown].map((line) => shorten(line, columns));
  }
}

function row(digest: string, { at, total, begun }: Part): string {
  const filled = Math.round((total > 0 ? at / total : 1) * BAR);
  const bar = begun
    ? `[${'='.repeat(filled)}${' '.repeat(BAR - filled)}] ${decimalSize(at)}/${decimalSize(total)}`
    : `waiting, ${decimalSize(total)}`;
  return `  ${shortDigest(digest)} ${bar}`;
}

/** Twelve digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}
