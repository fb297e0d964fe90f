/** A shim's own account: `timeline` of its state dump, moments that are told as `what` and `at`. */
import type { Span } from './spans.js';

export interface Moment {
  readonly what: string;
  /** Milliseconds since the epoch, with fractions. */
  readonly at: number;
  readonly container?: string;
}

/** The moments of a container in a state dump; none from a shim that tells none. */
export function timelineOf(dump: string, container: string): Moment[] {
  const { timeline } = JSON.parse(dump) as { timeline?: unknown };
  if (!Array.isArray(timeline)) return [];
  return timeline.filter((one): one is Moment => {
    const { what, at, container: whose } = one as Partial<Moment>;
    return typeof what === 'string' && typeof at === 'number' && (whose === undefined || whose === container);
  });
}

/** Last words of moments that begin something, and of those that end it. What is before the word names it. */
const BEGINS = new Set(['launched', 'received', 'asked', 'started', 'begun', 'begins']);
const ENDS = new Set(['answered', 'done', 'ended', 'exited']);
/** Without a name, what is begun and ended is the shim's own start. */
const START = 'shim starts';

function parts({ what }: Moment): { readonly name: string; readonly word: string } {
  const [, name = '', word = ''] = /^(?:(.*?):? )?(\S+)$/.exec(what) ?? [];
  return { name, word };
}

/** What lies between moments that belong together becomes a span. */
export function spansOf(moments: readonly Moment[]): Span[] {
  const used = new Set<Moment>();
  const spans: Span[] = [];
  moments.forEach((moment, i) => {
    const { name, word } = parts(moment);
    if (!BEGINS.has(word)) return;
    const end = moments
      .slice(i + 1)
      .find((one) => !used.has(one) && parts(one).name === name && ENDS.has(parts(one).word));
    if (end === undefined) return;
    used.add(moment).add(end);
    spans.push({ witness: 'shim', name: name || START, start: moment.at, end: end.at });
  });
  for (const moment of moments)
    if (!used.has(moment)) spans.push({ witness: 'shim', name: moment.what, start: moment.at, end: moment.at });
  return spans;
}
