import { constants } from 'node:os';
import { Code } from '../ttrpc/status.js';
import { InvalidArgumentError } from './errors.js';
import type { Signal } from './types/process.js';

/**
 * The label that containerd's client, ctr and nerdctl keep the signal in that ends a container: what its image says (STOPSIGNAL), unless
 * somebody has said otherwise.
 */
const STOP_SIGNAL = 'io.containerd.image.config.stop-signal';
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
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `signal ${JSON.stringify(signal)} is none that this machine has: invalid argument`,
  );
}

/** What ends a container, as its labels say; SIGTERM when they don't, or name what is no signal: an image is not looked at for that. */
export function stopSignalOf(labels: Readonly<Record<string, string>>): Signal {
  const text = labels[STOP_SIGNAL] ?? '';
  try {
    return text !== '' && signalNumber(text) > 0 ? text : 'SIGTERM';
  } catch (error) {
    if (error instanceof InvalidArgumentError) return 'SIGTERM';
    throw error;
  }
}

/**
 * The label for what ends a container.
 *
 * @param chosen by the caller: it must be a signal
 * @param image what its image says
 * @throws InvalidArgumentError
 */
export function stopSignalLabel(chosen: Signal | undefined, image: string | undefined): Record<string, string> {
  if (chosen !== undefined && signalNumber(chosen) === 0)
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `stop signal ${JSON.stringify(chosen)} ends nothing: invalid argument`,
    );
  const signal = chosen ?? image ?? '';
  return signal === '' ? {} : { [STOP_SIGNAL]: String(signal) };
}
