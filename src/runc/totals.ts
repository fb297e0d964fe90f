/** How often each of the runtime's commands was run, and how it went, since this process began. */

export interface CommandTotal {
  count: number;
  failed: number;
  /** From before its start until its end was seen, all of them together, in milliseconds. */
  totalMs: number;
}

/** Told when a command begins and when its end has been seen. */
export type CommandObserver = (phase: 'begins' | 'ended', name: string) => void;

let observer: CommandObserver | undefined;

/** Sets who is told of every command of this process's runtimes; one at most. */
export function observeCommands(observe: CommandObserver): void {
  observer = observe;
}

export function commandBegins(name: string): void {
  observer?.('begins', name);
}

const totals = new Map<string, CommandTotal>();

export function noteCommand(name: string, ms: number, failed: boolean): void {
  observer?.('ended', name);
  let total = totals.get(name);
  if (!total) totals.set(name, (total = { count: 0, failed: 0, totalMs: 0 }));
  total.count++;
  total.totalMs += ms;
  if (failed) total.failed++;
}

/** Those so far do not count. */
export function forgetCommands(): void {
  totals.clear();
}

/** By the command's name: `create`, `start`, … */
export function commandTotals(): ReadonlyMap<string, Readonly<CommandTotal>> {
  return totals;
}
