/** What `make bench` shows: a table, the same as JSON, and a plot of the ratios. */

/** Which way is better, and the ratio ours/Go to reach. */
export interface Goal {
  less: boolean;
  ratio: number;
}

export interface Row {
  name: string;
  unit: string;
  ours: readonly number[];
  go: readonly number[];
  /** runc alone. */
  floor?: readonly number[];
  goal?: Goal;
  /** Instead of a ratio: the most that ours may be. */
  most?: number;
  note?: string;
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
export const quantile = (values: readonly number[], part: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? NaN;
export const median = (values: readonly number[]): number => quantile(values, 1 / 2);

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const spread = (values: readonly number[]): string =>
  values.length < 4 ? '' : `${digits(quantile(values, 1 / 4))}–${digits(quantile(values, 3 / 4))}`;
export const ratioOf = ({ ours, go }: Row): number => median(ours) / median(go);

/** Undefined where nothing is to be reached. */
export function isReached(row: Row): boolean | undefined {
  if (row.most !== undefined) return median(row.ours) <= row.most;
  if (!row.goal) return undefined;
  return row.goal.less ? ratioOf(row) <= row.goal.ratio : ratioOf(row) >= row.goal.ratio;
}

function goalOf({ goal, most, unit }: Row): string {
  if (most !== undefined) return `≤ ${most} ${unit}`;
  return goal ? `${goal.less ? '≤' : '≥'} ${goal.ratio.toFixed(2)}` : '';
}

const HEADER = ['', 'hawser', 'Go shim', 'ratio', 'to reach', '', 'bare runc', 'quartiles ours | Go'];

export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const reached = isReached(row);
    return [
      row.name,
      `${digits(median(row.ours))} ${row.unit}`,
      `${digits(median(row.go))} ${row.unit}`,
      ratioOf(row).toFixed(2),
      goalOf(row),
      reached === undefined ? '' : reached ? 'yes' : 'no',
      row.floor ? digits(median(row.floor)) : '',
      [[spread(row.ours), spread(row.go)].filter(Boolean).join(' | '), row.note].filter(Boolean).join('; '),
    ];
  });
  const all = [HEADER, ...lines];
  const widths = HEADER.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  return all
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 || column === HEADER.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function json(rows: readonly Row[], about: Record<string, unknown>): string {
  return `${JSON.stringify({ ...about, rows: rows.map((row) => ({ ...row, median: { ours: median(row.ours), go: median(row.go), ...(row.floor ? { floor: median(row.floor) } : {}) }, ratio: ratioOf(row), reached: isReached(row) })) }, null, 1)}\n`;
}

const BAR = 22;
const LEFT = 270;
const WIDTH = 460;

/** One bar for each ratio, on a logarithmic scale around 1; to the left of the middle is less. A mark shows what is to be reached. */
export function svg(rows: readonly Row[], title: string): string {
  const x = (ratio: number): number => LEFT + WIDTH / 2 + Math.max(-1, Math.min(1, Math.log2(ratio) / 3)) * (WIDTH / 2);
  const height = rows.length * BAR + 70;
  const text = (at: number, y: number, content: string, anchor = 'start'): string =>
    `<text x="${at.toFixed(1)}" y="${y}" text-anchor="${anchor}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
  const bars = rows.map((row, i) => {
    const y = 50 + i * BAR;
    const ratio = ratioOf(row);
    const isBetter = (row.goal?.less ?? true) ? ratio <= 1 : ratio >= 1;
    const goal = row.goal
      ? `<line x1="${x(row.goal.ratio).toFixed(1)}" x2="${x(row.goal.ratio).toFixed(1)}" y1="${y}" y2="${y + BAR - 4}" stroke="black" stroke-dasharray="2,2"/>`
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
