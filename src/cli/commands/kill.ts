/** hawser kill: sends a signal. */
import { constants } from 'node:os';
import type { Globals } from '../address.js';
import { UsageError } from '../errors.js';
import { forEach, naming } from './each.js';

export async function killCommand(references: readonly string[], { signal, all }: { signal: string; all?: boolean }, globals: Globals): Promise<void> {
  const number = signalNumber(signal);
  await forEach(references, globals, (container) => naming(container.id, 'cannot be sent a signal', {
    NotFoundError: 'it does not run; `hawser start` starts it', FailedPreconditionError: 'it does not run; `hawser start` starts it',
  }, () => container.signalProcess(number, { all })));
}

/** By name, with or without SIG, or by number. */
export function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, base, offset = '0'] = /^(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  if (base !== undefined) return (base === 'RTMIN' ? 34 : 64) + Number(offset);
  const number = /^\d+$/.test(text) ? Number(text) : (constants.signals as Record<string, number | undefined>)[`SIG${name}`];
  if (number === undefined || number < 1 || number > 64) throw new UsageError(`signal ${JSON.stringify(text)} does not exist: give a name such as TERM, or a number from 1 to 64`);
  return number;
}
