/** Where hawserd answers ctr otherwise than containerd does, and why that is meant. */

export interface Difference {
  /** Which rows of the table; for one major version of ctr alone, where a number is given. */
  rows: readonly [RegExp, (1 | 2)?];
  reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  { rows: [/^version$/], reason: 'its own version' },
];
