/**
 * Giving memory back when there is nothing to do. V8 collects when room gets short, which in a shim that rests is never:
 * what a burst of requests has left would stay for as long as the container lives.
 */

/** How long nothing must have been asked. */
const REST_MS = 2_000;
/** Less garbage than this is not worth the milliseconds, as with a State now and then. */
const WORTH_BYTES = 2 * 1024 * 1024;

let timer: NodeJS.Timeout | undefined;
/** What was in use after the last collection. */
let floor = 0;

/** Something is being done; memory is looked at when it is over. */
export function busy(): void {
  if (timer) timer.refresh();
  else timer = setTimeout(rest, REST_MS).unref();
}

function rest(): void {
  timer = undefined;
  const { heapUsed } = process.memoryUsage();
  if (heapUsed - floor < WORTH_BYTES) return;
  // There with --expose-gc, which the launcher gives; without it, all works as before.
  globalThis.gc?.();
  floor = process.memoryUsage().heapUsed;
}
