/** Signals that this process is sent. */
import { constants } from 'node:os';
import { Exit, SIGNALLED } from '../errors.js';

/** Hears signals, in place of what they would do. @returns what stops it */
export function onSignals<Name extends NodeJS.Signals>(
  names: readonly Name[],
  heard: (name: Name) => void,
): () => void {
  const handlers = names.map((name) => [name, () => heard(name)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}

/** The end of this command by a signal. */
export const endedBy = (name: NodeJS.Signals): Exit => new Exit(SIGNALLED + constants.signals[name]);
