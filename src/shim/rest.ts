/**
 * Giving memory back when there is nothing to do. V8 collects when room gets short, which in a shim that rests is never,
 * and the C library keeps what was freed: what a start or a burst of requests has left would stay for as long as the
 * container lives.
 */
import { setFlagsFromString } from 'node:v8';
import { trimMemory } from '../sys/index.js';

/** How long nothing must have been asked. */
const REST_MS = 2_000;
/** Fewer requests than this are not worth the milliseconds, as with a State now and then. */
const WORTH_REQUESTS = 50;

let timer: NodeJS.Timeout | undefined;
/** Since memory was last given back; the first rest comes after the start, which leaves the most. */
let requests = WORTH_REQUESTS;

/** Something is being done; memory is looked at when it is over. */
export function busy(): void {
  requests++;
  if (timer) timer.refresh();
  else timer = setTimeout(rest, REST_MS).unref();
}

function rest(): void {
  timer = undefined;
  if (requests < WORTH_REQUESTS) return;
  requests = 0;
  // There with --expose-gc, which the launcher gives; without it, all works as before.
  if (globalThis.gc) {
    // What is left in use lies scattered; its pages only get free when it is moved together.
    setFlagsFromString('--compact-on-every-full-gc');
    globalThis.gc();
    setFlagsFromString('--no-compact-on-every-full-gc');
  }
  trimMemory();
}
