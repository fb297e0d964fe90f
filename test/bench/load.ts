/** The program that asks a shim over and over (load.c). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeRequest, type Request } from '../../src/ttrpc/envelope.js';
import { top } from '../support/daemons.js';
import { runToEnd } from './run.js';

export interface Load {
  /** Answers in a second. */
  perSecond: number;
  /** How long the slowest of a hundred took, in milliseconds. */
  ofHundred: number;
}

let program: string | undefined;

function build(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-load-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'load');
  execFileSync('cc', ['-std=gnu11', '-O2', '-o', path, join(top, 'test/bench/load.c')]);
  return path;
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
  program ??= build();
  const output = await runToEnd([program, socket, String(connections), String(depth), String(total)], {
    input: encodeRequest({ ...request, timeoutMs: undefined, metadata: [] }),
    env: {},
  });
  const [seconds = NaN, , ofHundred = NaN] = Buffer.from(output).toString().split(' ').map(Number);
  return { perSecond: total / seconds, ofHundred };
}
