/** When what happened, from the launch on: for "where did the milliseconds go" (`hawser trace`). */
import { realtimeMillis } from '../../sys/index.js';

/** What containers do later pushes nothing of their first steps out. */
const FIRST = 48;
const LAST = 48;

export interface Moment {
  what: string;
  /** Milliseconds since the epoch, with fractions. */
  at: number;
  container?: string;
}

const first: Moment[] = [];
const last: Moment[] = [];

/** Notes that something happens now. */
export function mark(what: string, container?: string): void {
  note(container ? { what, at: realtimeMillis(), container } : { what, at: realtimeMillis() });
}

/** Notes what happened elsewhere, such as in the launcher. */
export function note(moment: Moment): void {
  if (first.length < FIRST) first.push(moment);
  else if (last.push(moment) > LAST) last.shift();
}

/** Those so far do not count. */
export function forgetTimeline(): void {
  first.length = last.length = 0;
}

/** The first moments and the last, in their order. */
export function timeline(): Moment[] {
  return [...first, ...last].sort((a, b) => a.at - b.at);
}
