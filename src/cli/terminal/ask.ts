/** Questions at the terminal. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Exit, SIGNALLED } from '../errors.js';

const SIGINT = 2;

/** What is typed, up to the end of the line. What is secret is not shown. @throws Exit for ctrl-c and ctrl-d */
export async function ask(question: string, secret = false): Promise<string> {
  // A terminal's echo is readline's own work, to wherever it writes.
  const echo = secret ? new Writable({ write: (_chunk, _encoding, done) => done() }) : process.stderr;
  const lines = createInterface({ input: process.stdin, output: echo, terminal: true, historySize: 0 });
  // Not before: what is typed at a question that shows must not be echoed by the terminal any more.
  process.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('SIGINT', () => reject(new Exit(SIGNALLED + SIGINT)));
      lines.once('close', () => reject(new Exit(1)));
    });
  } finally {
    lines.close();
    process.stdin.pause();
    if (secret) process.stderr.write('\n');
  }
}
