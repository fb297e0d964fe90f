/** What `make bench` shows: a table, the same as JSON, and a plot of the ratios. */
import { bestOfOthers, isReached, median, quantile, ratioOf, type Row } from './statistics.js';

const digits = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
const spread = (values: readonly number[]): string =>
  values.length < 4 ? '–' : `${digits(quantile(values, 1 / 4))}–${digits(quantile(values, 3 / 4))}`;

function goalOf({ goal, unit, less = true }: Row): string {
  if (!goal) return '';
  if ('most' in goal) return `≤ ${goal.most} ${unit}`;
  return `${less ? '≤' : '≥'} ${goal.ratio.toFixed(2)}`;
}

/**
 * One line for each row, a column for each shim; medians.
 *
 * @param names the shims, ours first
 */
export function table(rows: readonly Row[], names: readonly string[]): string {
  const hasFloor = rows.some(({ floor }) => floor);
  const header = ['', ...names, 'ratio', 'to reach', '', ...(hasFloor ? ['no shim'] : []), 'quartiles'];
  const lines = rows.map((row) => {
    const reached = isReached(row);
    const all = names.map((name) => row.samples[name] ?? []);
    const spreads = all.some((values) => values.length >= 4) ? all.map(spread).join(' | ') : '';
    return [
      row.name,
      ...all.map((values) => (values.length === 0 ? '–' : `${digits(median(values))} ${row.unit}`)),
      // What has grown by less than nothing has no ratio to anything.
      ratioOf(row) > 0 && Number.isFinite(ratioOf(row)) ? ratioOf(row).toFixed(2) : '',
      goalOf(row),
      reached === undefined ? '' : reached ? 'yes' : 'no',
      ...(hasFloor ? [row.floor ? digits(median(row.floor)) : ''] : []),
      [spreads, row.note].filter(Boolean).join('; '),
    ];
  });
  const widths = header.map((_, column) => Math.max(...[header, ...lines].map((line) => line[column]!.length)));
  const pad = (cell: string, column: number): string =>
    column === 0 || column === header.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return [header, ...lines].map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

/** The rows with all their samples. */
export function json(rows: readonly Row[], about: Record<string, unknown>): string {
  const full = rows.map((row) => ({
    ...row,
    medians: Object.fromEntries(Object.entries(row.samples).map(([name, values]) => [name, median(values)])),
    best: bestOfOthers(row),
    ratio: ratioOf(row),
    reached: isReached(row),
  }));
  return `${JSON.stringify({ ...about, rows: full }, null, 1)}\n`;
}

const BAR = 22;
const LEFT = 270;
const WIDTH = 460;

/** One bar for each ratio, on a logarithmic scale around 1; to the left of the middle is less. A mark shows what is to be reached. */
export function svg(all: readonly Row[], title: string): string {
  const rows = all.filter((row) => Number.isFinite(ratioOf(row)) && ratioOf(row) > 0);
  const x = (ratio: number): number => LEFT + WIDTH / 2 + Math.max(-1, Math.min(1, Math.log2(ratio) / 3)) * (WIDTH / 2);
  const height = rows.length * BAR + 70;
  const text = (at: number, y: number, content: string, anchor = 'start'): string =>
    `<text x="${at.toFixed(1)}" y="${y}" text-anchor="${anchor}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
  const bars = rows.map((row, i) => {
    const y = 50 + i * BAR;
    const ratio = ratioOf(row);
    const isBetter = (row.less ?? true) ? ratio <= 1 : ratio >= 1;
    const mark = row.goal && 'ratio' in row.goal ? x(row.goal.ratio).toFixed(1) : '';
    const goal = mark
      ? `<line x1="${mark}" x2="${mark}" y1="${y}" y2="${y + BAR - 4}" stroke="black" stroke-dasharray="2,2"/>`
      : '';
    const from = Math.min(x(1), x(ratio));
    return `${text(LEFT - 8, y + 13, row.name, 'end')}<rect x="${from.toFixed(1)}" y="${y + 2}" width="${Math.max(1, Math.abs(x(ratio) - x(1))).toFixed(1)}" height="${BAR - 8}" fill="${isBetter ? '#3a7d44' : '#b5533c'}"/>${goal}${text(LEFT + WIDTH + 8, y + 13, ratio.toFixed(2))}`;
  });
  const ticks = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8].map(
    (tick) =>
      `<line x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="42" y2="${height - 16}" stroke="#ccc"/>${text(x(tick), 38, tick < 1 ? `1/${1 / tick}` : String(tick), 'middle')}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 60}" height="${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>${text(12, 18, title)}${ticks.join('')}${bars.join('')}</svg>\n`;
}

/** Rows whose goal was missed. */
export const missed = (rows: readonly Row[]): string[] =>
  rows.filter((row) => isReached(row) === false).map(({ name }) => name);
