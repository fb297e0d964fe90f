/** Archives that commands write: to a file, or on to another command, never to a terminal. */
import { createWriteStream, rmSync, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError } from '../errors.js';
import { copyOut } from '../terminal/write.js';

/** @throws CliError when it would come to a terminal */
export function refuseTerminal(command: string, output: string | undefined, how = 'name a file with -o'): void {
  if (output === undefined && process.stdout.isTTY)
    throw new CliError(`${command}: standard output is a terminal: ${how}, or send it on to another command`);
}

/** Writes the bytes to the file, or to standard output. Half an archive is none: a file that was begun is removed. */
export async function writeArchive(output: string | undefined, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  if (output === undefined) {
    await copyOut(bytes, process.stdout);
    return;
  }
  // What is no file is written to as it is: /dev/null, a FIFO.
  const isOurs = statSync(output, { throwIfNoEntry: false })?.isFile() ?? true;
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(output));
  } catch (error) {
    if (isOurs) rmSync(output, { force: true });
    throw error;
  }
}
