import { invalidArgument } from './errdefs.js';

const MAX_LENGTH = 76;
const PATTERN = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

/**
 * Refuses ids that containerd itself would refuse. They become file names and arguments of the runtime, so a slash or a
 * leading dash must not get that far when somebody else is calling.
 */
export function checkIdentifier(what: string, id: string): void {
  if (id.length === 0) throw invalidArgument(`${what} must not be empty`);
  if (id.length > MAX_LENGTH)
    throw invalidArgument(`${what} ${JSON.stringify(id)} greater than maximum length (${MAX_LENGTH} characters)`);
  if (!PATTERN.test(id)) throw invalidArgument(`${what} ${JSON.stringify(id)} must match ${PATTERN.source}`);
}
