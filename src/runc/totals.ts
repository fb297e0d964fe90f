/** How often each of the runtime's commands was run, and how it went, since this process began. */

export interface CommandTotal {
  count: number;
  failed: number;
  /** From before its start until its end was seen, all of them together, in milliseconds. */
  totalMs: number;
}

const totals = new Map<string, CommandTotal>();

export function noteCommand(name: string, ms: number, failed: boolean): void {
  let total = totals.get(name);
  if (!total) totals.set(name, total = { count: 0, failed: 0, totalMs: 0 });
  total.count++;
  total.totalMs += ms;
  if (failed) total.failed++;
}

/** By the command's name: `create`, `start`, … */
export function commandTotals(): ReadonlyMap<string, Readonly<CommandTotal>> {
  return totals;
}
