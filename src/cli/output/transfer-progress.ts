/** Shows a pull or a push as it goes on: on a terminal lines that change, elsewhere a line for each thing that is done. */
import { decimalSize } from '../format/size.js';
import { shortDigest, TransferView, type Transferred } from './transfer-view.js';

/** Drawn no more often than this. */
const EVERY_MS = 80;

export class TransferProgress {
  readonly #view: TransferView;
  readonly #done = new Set<string>();
  #drawn = 0;
  #last = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param verb `pulling` or `pushing` */
  constructor(
    name: string,
    verb: string,
    private readonly wanted: boolean,
    private readonly out: NodeJS.WriteStream = process.stderr,
  ) {
    this.#view = new TransferView(name, verb);
    if (!wanted) return;
    if (!out.isTTY) out.write(`${verb} ${name}\n`);
    else {
      this.#draw();
      // The rate goes down also when nothing comes.
      this.#timer = setInterval(() => this.#draw(), 500).unref();
    }
  }

  readonly update = (progress: Transferred): void => {
    if (!this.wanted) return;
    this.#view.update(progress, Date.now());
    if (!this.out.isTTY) this.#tell(progress);
    else if (Date.now() - this.#last >= EVERY_MS) this.#draw();
  };

  /** Leaves nothing on a terminal. */
  end(): void {
    clearInterval(this.#timer);
    if (this.wanted && this.out.isTTY) this.out.write(this.#back());
    this.#drawn = 0;
  }

  #tell({ step, what, at, total }: Transferred): void {
    const is = `${step} ${what}`;
    if (at < total || this.#done.has(is)) return;
    this.#done.add(is);
    if (step === 'fetch' || step === 'push') this.out.write(`${shortDigest(what)}: ${decimalSize(total)}\n`);
    if (step === 'unpack') this.out.write(`unpacked ${total} ${total === 1 ? 'layer' : 'layers'}\n`);
  }

  #draw(): void {
    this.#last = Date.now();
    const lines = this.#view.lines((this.out.columns || 80) - 1, (this.out.rows || 24) - 1, this.#last);
    this.out.write(`${this.#back()}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawn = lines.length;
  }

  /** To where the first line began, with all below it gone. */
  #back(): string {
    return this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r\x1b[J`;
  }
}
