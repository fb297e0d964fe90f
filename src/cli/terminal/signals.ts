/** Without a terminal, signals for this command are for the container. */
import { constants } from 'node:os';
import { Exit, SIGNALLED } from '../errors.js';

const FORWARDED = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGWINCH',
  'SIGIO',
  'SIGPWR',
] as const;
/** Who sends these so often means this command, as with docker. */
export const TOO_OFTEN = 3;

/** Passes signals on. `given` rejects when somebody insists on ending this command. */
export function forwardSignals(send: (signal: NodeJS.Signals) => Promise<void>): {
  readonly given: Promise<never>;
  stop(): void;
} {
  const handlers = new Map<NodeJS.Signals, () => void>();
  const given = new Promise<never>((_, reject) => {
    let ends = 0;
    for (const name of FORWARDED) {
      handlers.set(name, () => {
        if ((name === 'SIGINT' || name === 'SIGTERM') && ++ends >= TOO_OFTEN) {
          process.stderr.write(`hawser: ${name} for the ${ends}rd time: the command ends, the container goes on\n`);
          reject(new Exit(SIGNALLED + constants.signals[name]));
          return;
        }
        // It may have ended meanwhile, which is told in a moment.
        send(name).catch(() => undefined);
      });
    }
  });
  given.catch(() => undefined);
  for (const [name, handler] of handlers) process.on(name, handler);
  return {
    given,
    stop: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
