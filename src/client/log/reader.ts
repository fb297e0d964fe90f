/** Reads what a container has printed out of its log: the lines that are asked for, and as it grows. */
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';
import { EntryDecoder, type LogPiece, type LogStream } from './entries.js';
import { beginning, lastEntries, lastLines, type Position } from './files.js';
import { LogFollower } from './follow.js';
import { atTime } from '../moment.js';
import type { LogPlace } from './place.js';

const NEWLINE = 0x0a;

/** What is asked for. Times are as {@link LogPiece} has them. */
export interface Selection {
  /** So many lines from the end, of which the others then choose, as docker has it. Default: all. */
  readonly tail?: number | undefined;
  /** Where to begin, in place of `tail`. */
  readonly from?: Position | undefined;
  /** Lines of this time or later. */
  readonly since?: string | undefined;
  /** Lines of this time or earlier; the first later one is the end. */
  readonly until?: string | undefined;
  /** Each line begins with its time and a space. */
  readonly timestamps?: boolean | undefined;
  /** Default: both. */
  readonly streams?: readonly LogStream[] | undefined;
}

interface Line {
  /** What comes goes on with a line. */
  isOpen: boolean;
  isWanted: boolean;
}

/** Gives pieces by the chunk. Until {@link end} or {@link stop} it waits for more. */
export class LogReader {
  readonly #follower: LogFollower;
  readonly #decoder: EntryDecoder | undefined;
  readonly #streams: ReadonlySet<LogStream>;
  readonly #lines: Record<LogStream, Line> = {
    stdout: { isOpen: false, isWanted: true },
    stderr: { isOpen: false, isWanted: true },
  };
  #time: string | undefined;

  /** @throws FailedPreconditionError when times are asked for, and the log has none */
  constructor(
    private readonly place: Pick<LogPlace, 'path' | 'hasEntries'>,
    private readonly selection: Selection = {},
  ) {
    const { path, hasEntries } = place;
    if (this.#wantsTimes && !hasEntries) throw this.#withoutTimes();
    this.#follower = new LogFollower(path, selection.from ?? startOf(place, selection.tail));
    this.#decoder = hasEntries ? new EntryDecoder() : undefined;
    this.#streams = new Set(selection.streams ?? ['stdout', 'stderr']);
  }

  /** Nothing will be written any more; what is on its way may take a moment unless `complete`. */
  end(complete: boolean): void {
    this.#follower.end(complete);
  }

  /** Reads no more. */
  stop(): void {
    this.#follower.stop();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogPiece[], void, void> {
    const { until } = this.selection;
    // When the time has come there is nothing to wait for; what was written by then is read.
    const timer = until === undefined ? undefined : atTime(Date.parse(until), () => this.#follower.end(false));
    try {
      for await (const chunk of this.#follower) {
        const pieces = this.#decoder?.push(chunk) ?? [{ time: undefined, stream: 'stdout' as const, bytes: chunk }];
        const { wanted, isOver } = this.#select(pieces);
        if (wanted.length > 0) yield wanted;
        if (isOver) return;
      }
      const { wanted } = this.#select(this.#decoder?.end() ?? []);
      if (wanted.length > 0) yield wanted;
    } finally {
      timer?.clear();
    }
  }

  get #wantsTimes(): boolean {
    const { since, until, timestamps = false } = this.selection;
    return timestamps || since !== undefined || until !== undefined;
  }

  #select(pieces: readonly LogPiece[]): { readonly wanted: LogPiece[]; readonly isOver: boolean } {
    const wanted: LogPiece[] = [];
    for (const piece of pieces) {
      const line = this.#lines[piece.stream];
      const begins = !line.isOpen;
      line.isOpen = piece.bytes.at(-1) !== NEWLINE;
      if (begins) {
        const time = this.#timeOf(piece);
        const { since, until } = this.selection;
        if (until !== undefined && time! > until) return { wanted, isOver: true };
        line.isWanted = this.#streams.has(piece.stream) && (since === undefined || time! >= since);
      }
      if (!line.isWanted) continue;
      wanted.push(
        begins && this.selection.timestamps
          ? { ...piece, bytes: Buffer.concat([Buffer.from(`${this.#time!} `, 'latin1'), piece.bytes]) }
          : piece,
      );
    }
    return { wanted, isOver: false };
  }

  /** What has no time of its own has that of what came before it. */
  #timeOf({ time }: LogPiece): string | undefined {
    this.#time = time ?? this.#time;
    if (this.#time === undefined && this.#wantsTimes) throw this.#withoutTimes();
    return this.#time;
  }

  #withoutTimes(): FailedPreconditionError {
    return new FailedPreconditionError(
      Code.FailedPrecondition,
      `the log ${this.place.path} is what was printed, as it is, without times: whoever wrote it keeps none: failed precondition`,
    );
  }
}

function startOf({ path, hasEntries }: Pick<LogPlace, 'path' | 'hasEntries'>, tail: number | undefined): Position {
  if (tail === undefined) return beginning(path);
  return hasEntries ? lastEntries(path, tail) : lastLines(path, tail);
}
