/** hawser kill: sends a signal. */
import { InvalidArgumentError } from '../../client/errors.js';
import { signalNumber as numberOf } from '../../client/signals.js';
import type { Globals } from '../address.js';
import { UsageError } from '../errors.js';
import { forEach, naming } from './each.js';
import { markStopped } from './mark-stopped.js';

/** SIGINT, SIGQUIT, SIGKILL, SIGTERM. */
const ENDING = [2, 3, 9, 15];

export async function killCommand(
  references: readonly string[],
  { signal, all }: { signal: string; all?: boolean },
  globals: Globals,
): Promise<void> {
  const number = signalNumber(signal);
  await forEach(references, globals, (container) =>
    naming(
      container.id,
      'cannot be sent a signal',
      {
        NotFoundError: 'it does not run; `hawser start` starts it',
        FailedPreconditionError: 'it does not run; `hawser start` starts it',
      },
      async () => {
        // What ends it is meant: docker does not start it again then.
        if (ENDING.includes(number)) await markStopped(container);
        await container.signalProcess(number, { all });
      },
    ),
  );
}

/** By name, with or without SIG, or by number. */
export function signalNumber(text: string): number {
  const unknown = new UsageError(
    `signal ${JSON.stringify(text)} does not exist: give a name such as TERM, or a number from 1 to 64`,
  );
  try {
    const number = numberOf(text);
    if (number > 0) return number;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
  }
  throw unknown;
}
