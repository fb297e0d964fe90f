/** What is made of the samples of a row. */

/** Samples by the name of a shim. */
export type Samples = Readonly<Record<string, readonly number[]>>;

/** What is to be reached: a ratio to the better of the others, or a bound of our own. */
export type Goal = { readonly ratio: number } | { readonly most: number };

/** One line of the table. */
export interface Row {
  name: string;
  unit: string;
  /** Default: true. */
  less?: boolean;
  samples: Samples;
  /** What it takes with nobody in between: runc alone; a writer and its reader. */
  floor?: readonly number[];
  goal?: Goal;
  note?: string;
  /** Who it is beside, where that is no shim. */
  peers?: readonly string[];
}

/** Our name among those of {@link Samples}. */
export const OURS = 'hawser';

/** The sample that this part of all is below, 0 to 1; NaN where there are none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** The middle one, or between the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The best median of those that aren't ours; NaN where nobody else has been measured. */
export function bestOfOthers({ samples, less = true }: Row): number {
  const medians = Object.entries(samples)
    .filter(([name, values]) => name !== OURS && values.length > 0)
    .map(([, values]) => median(values));
  if (medians.length === 0) return NaN;
  return less ? Math.min(...medians) : Math.max(...medians);
}

/** Ours to the better of the others. */
export function ratioOf(row: Row): number {
  return median(row.samples[OURS] ?? []) / bestOfOthers(row);
}

/** Undefined where nothing is to be reached, or where what it is compared with is missing. */
export function isReached(row: Row): boolean | undefined {
  const { goal, less = true } = row;
  if (!goal) return undefined;
  const [found, bound] = 'most' in goal ? [median(row.samples[OURS] ?? []), goal.most] : [ratioOf(row), goal.ratio];
  if (Number.isNaN(found)) return undefined;
  return less || 'most' in goal ? found <= bound : found >= bound;
}
