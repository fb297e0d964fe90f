/** The program that asks a shim over and over (load.c). */
import { encodeRequest, type Request } from '../../src/ttrpc/envelope.js';
import { compiled } from './compiled.js';
import { runToEnd } from './run.js';

export interface Load {
  /** Answers in a second. */
  perSecond: number;
  /** How long the slowest of a hundred took, in milliseconds. */
  ofHundred: number;
}

/**
 * Asks the same request `total` times on so many connections, on each of which `depth` of them are under way.
 *
 * @throws Error when one is answered by an error, or not within a minute
 */
export async function load(
  socket: string,
  request: Pick<Request, 'service' | 'method' | 'payload'>,
  { connections, depth, total }: { connections: number; depth: number; total: number },
): Promise<Load> {
  const output = await runToEnd([compiled('load'), socket, String(connections), String(depth), String(total)], {
    input: encodeRequest({ ...request, timeoutMs: undefined, metadata: [] }),
    env: {},
  });
  const [seconds = NaN, , ofHundred = NaN] = Buffer.from(output).toString().split(' ').map(Number);
  return { perSecond: total / seconds, ofHundred };
}
