/**
 * Room for new objects: V8 has a megabyte for them, and collects when four fifths of that are used. A life takes more, and so does a worker that is woken for
 * an exec; what is forked would have its first collection in the midst of it, which copies a heap that is shared until then, for a millisecond or more. Done
 * here, as a flag for it would have V8 compile anew what Node brings compiled.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { collector } from '../worker/collector.js';

/** More than a worker takes until it sleeps, in bytes. */
export const ROOM = 4 << 20;
/** As it is otherwise (load.cjs). */
const GROWTH = '--semi-space-growth-factor=1';
/** As often as it grows at most. */
const TRIES = 8;
/** Half a megabyte or so: V8 grows it when so much has stayed alive as there is room for. */
const OBJECTS = 10_000;

/** Gives this process, and what is forked from it, as much; the same where it has it. */
export function makeRoom(): void {
  const gc = collector();
  setFlagsFromString('--semi-space-growth-factor=4');
  const held: object[][] = [];
  for (let time = 0; time < TRIES && room() < ROOM; time++) {
    held.push(Array.from({ length: OBJECTS }, (_, number) => ({ number, time })));
    gc({ type: 'minor', execution: 'sync' });
  }
  setFlagsFromString(GROWTH);
}

/** What there is, in bytes. */
export function room(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')!.space_size;
}
