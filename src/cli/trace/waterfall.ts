/** The spans as lines of a terminal, each bar where it belongs in time. */
import { paint, type Color } from '../format/color.js';
import { shorten } from '../format/table.js';
import { inOrder, type Span, type Witness } from './spans.js';

const COLORS: Readonly<Record<Witness, Color>> = { client: 'cyan', daemon: 'blue', shim: 'yellow', container: 'green' };
const NAME = 34;
const LEAST_BAR = 20;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** @param columns of the terminal */
export function waterfall(spans: readonly Span[], columns: number): string {
  const ordered = inOrder(spans);
  if (ordered.length === 0) return '';
  const zero = ordered[0]!.start;
  const total = Math.max(...ordered.map(({ end }) => end)) - zero;
  const name = Math.min(NAME, Math.max(4, ...ordered.map((span) => span.name.length + depthOf(span, ordered) * 2)));
  const width = Math.max(LEAST_BAR, columns - name - 29);
  const scale = total > 0 ? width / total : 0;
  const lines = ordered.map((span) => {
    const label = shorten(`${'  '.repeat(depthOf(span, ordered))}${span.name}`, name).padEnd(name);
    const took = span.end > span.start ? (span.end - span.start).toFixed(1) : '·';
    return `${(span.start - zero).toFixed(1).padStart(8)} ${took.padStart(8)}  ${paint(COLORS[span.witness], span.witness.padEnd(9))} ${label} ${paint(COLORS[span.witness], bar((span.start - zero) * scale, (span.end - span.start) * scale, width))}`.trimEnd();
  });
  return [`${'at ms'.padStart(8)} ${'took'.padStart(8)}  ${'who'.padEnd(9)} what`, ...lines, ''].join('\n');
}

/** How many others of the same witness it lies in. */
function depthOf(span: Span, all: readonly Span[]): number {
  return all.filter(
    (other) =>
      other !== span &&
      other.witness === span.witness &&
      other.start <= span.start &&
      other.end >= span.end &&
      other.end > other.start &&
      (other.start !== span.start || other.end !== span.end || all.indexOf(other) < all.indexOf(span)),
  ).length;
}

/** At so many columns from the left, in eighths of one; a moment is a mark. */
function bar(from: number, length: number, width: number): string {
  const start = Math.min(Math.floor(from), width - 1);
  if (length === 0) return `${' '.repeat(start)}◆`;
  const eighths = Math.max(1, Math.round((from - start + length) * 8));
  const blocks = '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
  return ' '.repeat(start) + [...blocks].slice(0, width - start).join('');
}
