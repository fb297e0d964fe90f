/**
 * Giving memory back when there is nothing to do. V8 collects when room gets short, which in a shim that rests is never,
 * and the C library keeps what was freed: what a start or a burst of requests has left would stay for as long as the
 * container lives.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { trimMemory } from '../../sys/index.js';
import { collector } from './collector.js';
import { samples } from './samples.js';

/** How long nothing must have been asked before what was used is given back, and how long before it is looked at again. */
const RESTS_MS = [2_000, 8_000];
/** Fewer requests than this are not worth the milliseconds, as with a State now and then. */
const WORTH_REQUESTS = 50;
/** Growth of private memory that is worth it. */
const WORTH_BYTES = 1 << 20;
/**
 * A forked shim shares its heap with its zygote until it writes there. To move things together writes to all of it, which
 * leaves it with more than this of its own; before, it has 3 MB, and may have as much again of room for new objects (zygote/room.ts).
 */
const FORKED_BYTES = 7 << 20;

export interface RestOptions {
  /** This process has just been forked. Default false. */
  isForked?: boolean;
  /** What this process has of its own. */
  ownBytes?: () => number;
  /** Gives memory back, having collected so many times. */
  giveBack?: (times: number) => void;
}

/** One for each process that serves: what it gives back is the process's. */
export class Rest {
  readonly #ownBytes: () => number;
  readonly #giveBack: (times: number) => void;
  #timer: NodeJS.Timeout | undefined;
  /** Which of the rests comes next. The second is for the room that V8 keeps for new objects: it gives that up only when little was asked of it for some seconds. */
  #next = 0;
  /** Since memory was last given back; the first rest comes after the start, which leaves the most. */
  #requests = WORTH_REQUESTS;
  /** Private memory after it was last given back. */
  #kept: number;

  constructor(options: RestOptions = {}) {
    this.#ownBytes = options.ownBytes ?? ownBytes;
    this.#giveBack = options.giveBack ?? ((times) => compact(times, collectAll));
    this.#kept = options.isForked ? FORKED_BYTES : 0;
  }

  /** Something is being done; memory is looked at when it is over. */
  busy(): void {
    this.#requests++;
    if (this.#next > 0 && this.#requests >= WORTH_REQUESTS) this.stop();
    if (this.#timer) this.#timer.refresh();
    else if (this.#requests >= WORTH_REQUESTS) this.#wait();
  }

  /** What has been done up to now gives no reason to look any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#next = 0;
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#rest(), RESTS_MS[this.#next]! - (RESTS_MS[this.#next - 1] ?? 0)).unref();
  }

  #rest(): void {
    this.#requests = 0;
    this.#timer = undefined;
    // The second look is for what the first has left.
    if (this.#next === 0 && this.#ownBytes() <= this.#kept + WORTH_BYTES) return;
    this.#giveBack(this.#next > 0 ? 2 : 1);
    this.#kept = this.#ownBytes();
    if (++this.#next < RESTS_MS.length) this.#wait();
    else this.#next = 0;
  }
}

/** As of Node 22 V8 keeps the pages of what was moved together in store, and gives them up to this alone; it took it for a wish for little before. */
const KEEPS_PAGES = Number(process.versions.node.split('.')[0]) >= 22;

const collect = (gc: NodeJS.GCFunction): void => void gc();
const collectAll = KEEPS_PAGES
  ? (gc: NodeJS.GCFunction): void => void gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  : collect;

/**
 * Collects garbage, moves together what is left, and gives back what is free.
 *
 * @param times what only weak things held goes with the second
 * @param by collectAll for a process that serves: a zygote's pages are its children's, too, and so is its compiled code, which that drops
 */
export function compact(times = 2, by = collect): void {
  const held = samples();
  const gc = collector();
  // What is left in use lies scattered; its pages only get free when it is moved together.
  setFlagsFromString('--compact-on-every-full-gc');
  for (let time = 0; time < times; time++) by(gc);
  setFlagsFromString('--no-compact-on-every-full-gc');
  letGo(held);
  trimMemory();
}

/** Up to here they were held. */
function letGo(_held: readonly unknown[]): void {
  return undefined;
}

/** Infinite where the kernel does not say it (before 4.14, or without /proc): then it is as if there were always much to give back. */
function ownBytes(): number {
  try {
    const [, dirty] = /^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1')) ?? [];
    return dirty === undefined ? Infinity : Number(dirty) * 1024;
  } catch {
    return Infinity;
  }
}
