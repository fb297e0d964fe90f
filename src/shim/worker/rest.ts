/**
 * Giving memory back when there is nothing to do. V8 collects when room gets short, which in a shim that rests is never,
 * and the C library keeps what was freed: what a start or a burst of requests has left would stay for as long as the
 * container lives.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { trimMemory } from '../../sys/index.js';

/** How long nothing must have been asked before what was used is given back, and how long before it is looked at again. */
const RESTS_MS = [2_000, 8_000];
/** Fewer requests than this are not worth the milliseconds, as with a State now and then. */
const WORTH_REQUESTS = 50;
/** Growth of private memory that is worth it. */
const WORTH_BYTES = 1 << 20;
/**
 * A forked shim shares its heap with its zygote until it writes there. To move things together writes to all of it, which
 * leaves it with more than this of its own; before, it has 3 MB.
 */
const FORKED_BYTES = 4 << 20;

let timer: NodeJS.Timeout | undefined;
/** Which of the rests comes next. The second is for the room that V8 keeps for new objects: it gives that up only when little was asked of it for some seconds. */
let next = 0;
/** Since memory was last given back; the first rest comes after the start, which leaves the most. */
let requests = WORTH_REQUESTS;
/** Private memory after it was last given back. */
let kept = 0;

/** Something is being done; memory is looked at when it is over. */
export function busy(): void {
  requests++;
  if (next > 0 && requests >= WORTH_REQUESTS) forgetTimer();
  if (timer) timer.refresh();
  else if (requests >= WORTH_REQUESTS) wait();
}

/** As if nothing had been done yet. */
export function forgetWork(): void {
  forgetTimer();
  requests = WORTH_REQUESTS;
}

function forgetTimer(): void {
  clearTimeout(timer);
  timer = undefined;
  next = 0;
}

function wait(): void {
  timer = setTimeout(rest, RESTS_MS[next]! - (RESTS_MS[next - 1] ?? 0)).unref();
}

function rest(): void {
  requests = 0;
  timer = undefined;
  // The second look is for what the first has left.
  if (next === 0 && memory.ownBytes() <= kept + WORTH_BYTES) return;
  compact(next > 0 ? 2 : 1);
  kept = memory.ownBytes();
  if (++next < RESTS_MS.length) wait();
  else next = 0;
}

/**
 * Collects garbage, moves together what is left, and gives back what is free.
 *
 * @param times what only weak things held goes with the second
 */
export function compact(times = 2): void {
  // There with --expose-gc, which the launcher gives; without it, all works as before.
  if (globalThis.gc) {
    // What is left in use lies scattered; its pages only get free when it is moved together.
    setFlagsFromString('--compact-on-every-full-gc');
    for (let time = 0; time < times; time++) globalThis.gc();
    setFlagsFromString('--no-compact-on-every-full-gc');
  }
  trimMemory();
}

/** In a process that has just been forked. */
export function restAsForked(): void {
  kept = FORKED_BYTES;
}

/** What this process has of its own. An object, for tests of what is made of it. */
export const memory = { ownBytes };

/** Infinite where the kernel does not say it (before 4.14, or without /proc): then it is as if there were always much to give back. */
function ownBytes(): number {
  try {
    const [, dirty] = /^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1')) ?? [];
    return dirty === undefined ? Infinity : Number(dirty) * 1024;
  } catch {
    return Infinity;
  }
}
