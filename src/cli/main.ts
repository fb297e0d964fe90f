/** hawser: from the command line to a command. What only some commands need is loaded by them. */
import { explain } from './explain.js';
import { watchOutput } from './output/broken.js';
import { program } from './program/index.js';
import { run } from './program/run.js';

watchOutput();

/** Ends with everything written; nothing that is still open keeps the command from ending. */
function end(status: number): void {
  process.exitCode = status;
  let left = 2;
  const done = (): void => {
    if (--left === 0) process.exit(status);
  };
  process.stdout.write('', done);
  process.stderr.write('', done);
}

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
