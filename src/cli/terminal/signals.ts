/** Without a terminal, signals for this command are for the container. */
import { endedBy, onSignals } from './on-signals.js';

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
  let stop = (): void => undefined;
  const given = new Promise<never>((_, reject) => {
    let ends = 0;
    stop = onSignals(FORWARDED, (name) => {
      if ((name === 'SIGINT' || name === 'SIGTERM') && ++ends >= TOO_OFTEN) {
        process.stderr.write(`hawser: ${name} for the ${ends}rd time: the command ends, the container goes on\n`);
        reject(endedBy(name));
        return;
      }
      // It may have ended meanwhile, which is told in a moment.
      send(name).catch(() => undefined);
    });
  });
  given.catch(() => undefined);
  return { given, stop };
}
