/**
 * Giving memory back when there is nothing to do. V8 collects when room gets short, which in a shim that rests is never,
 * and the C library keeps what was freed: what a start or a burst of requests has left would stay for as long as the
 * container lives.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { trimMemory } from '../../sys/index.js';

/** How long nothing must have been asked before what was used is given back, and how long before it is looked at again. */
const RESTS_MS = [2_000, 8_000];
/** Fewer requests than this are not worth the milliseconds, as with a State now and then. */
const WORTH_REQUESTS = 50;
/**
 * Growth that is worth it, in bytes. A forked shim shares its heap with its zygote until it writes there, and moving things
 * together writes to all of it: 3 MB.
 */
const WORTH_BYTES = 3 << 20;

let timer: NodeJS.Timeout | undefined;
/** Which of the rests comes next. The second is for the room that V8 keeps for new objects: it gives that up only when little was asked of it for some seconds. */
let next = 0;
/** Since memory was last given back; the first rest comes after the start, which leaves the most. */
let requests = WORTH_REQUESTS;
/** What was in use when memory was last given back, in this process or in the zygote before it was forked. */
let compacted = 0;

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
  if (getHeapStatistics().used_heap_size > compacted + WORTH_BYTES) compact(next > 0 ? 2 : 1);
  timer = undefined;
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
  compacted = getHeapStatistics().used_heap_size;
}
