/** From the command line to the end of the process. */
import type { Command } from 'commander';
import { explain } from './explain.js';
import { watchOutput, whenWritten } from './output/broken.js';
import { run } from './program/run.js';

/** Ends with everything written; nothing that is still open keeps the command from ending. */
function end(status: number): void {
  process.exitCode = status;
  whenWritten(() => process.exit(status));
}

/** @param program declares what these words may name */
export function begin(program: (args: readonly string[]) => Command): void {
  watchOutput();
  const args = process.argv.slice(2);
  run(program(args), args).then(
    () => end(Number(process.exitCode ?? 0)),
    (error: unknown) => {
      const { text, exitCode } = explain(error);
      if (text) process.stderr.write(`hawser: ${text}\n`);
      if (text && process.env.HAWSER_DEBUG && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
      end(exitCode);
    },
  );
}
