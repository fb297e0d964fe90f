/** This process's own terminal: raw while a container has it, and given back whatever happens. */
import { spawnSync } from 'node:child_process';
import type { WindowSize } from '../../client/index.js';
import { endedBy, onSignals } from './on-signals.js';

/** Signals that would end the command without giving the terminal back. */
const DEADLY = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGABRT', 'SIGALRM', 'SIGUSR1', 'SIGUSR2'] as const;

/** Puts the terminal into raw mode. @returns what gives it back; calling it again does nothing */
export function rawMode(): () => void {
  if (!process.stdin.isTTY) return () => undefined;
  const saved = stty('-g')?.trim();
  // Node's own raw mode still changes what is printed: each new line would begin in the first column.
  const raw = saved !== undefined && stty('raw', '-echo', '-iexten') !== undefined;
  if (!raw) process.stdin.setRawMode(true);
  let given = false;
  const back = (): void => {
    if (given) return;
    given = true;
    process.off('exit', back);
    if (raw) stty(saved);
    else process.stdin.setRawMode(false);
  };
  process.on('exit', back);
  return back;
}

/** What stty prints about our terminal; undefined when it cannot be run. */
function stty(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('stty', args, { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** Rejects with the exit status when a signal is to end this command; the container is not touched by it. */
export function deadlySignal(): { readonly signal: Promise<never>; stop(): void } {
  let stop = (): void => undefined;
  const signal = new Promise<never>((_, reject) => {
    stop = onSignals(DEADLY, (name) => reject(endedBy(name)));
  });
  signal.catch(() => undefined);
  return { signal, stop };
}

/** How large the terminal is; undefined without one. */
export function windowSize(): WindowSize | undefined {
  const { columns, rows, isTTY } = process.stdout;
  return isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

/** Calls back whenever the terminal's size changes. @returns what stops it */
export function onResize(changed: (size: WindowSize) => void): () => void {
  const told = (): void => {
    const size = windowSize();
    if (size) changed(size);
  };
  process.stdout.on('resize', told);
  return () => process.stdout.off('resize', told);
}
