import { constants } from 'node:os';
import { Code } from '../ttrpc/status.js';
import { InvalidArgumentError } from './errors.js';
import type { Signal } from './types.js';

const RTMIN = 34;
const RTMAX = 64;

/** The number of a signal: `SIGTERM`, `term`, `15`, `RTMIN+3`. */
export function signalNumber(signal: Signal): number {
  if (typeof signal === 'number' || /^\d+$/.test(signal)) {
    const number = Number(signal);
    if (Number.isInteger(number) && number >= 0 && number <= RTMAX) return number;
  } else {
    const name = signal.toUpperCase().replace(/^SIG/, '');
    const known = (constants.signals as Record<string, number>)[`SIG${name}`];
    if (known !== undefined) return known;
    const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
    if (realtime) {
      const [, from, sign = '+', offset = '0'] = realtime;
      const number = (from === 'MIN' ? RTMIN : RTMAX) + (sign === '+' ? 1 : -1) * Number(offset);
      if (number >= RTMIN && number <= RTMAX) return number;
    }
  }
  throw new InvalidArgumentError(Code.InvalidArgument, `signal ${JSON.stringify(signal)} is none that this machine has: invalid argument`);
}
