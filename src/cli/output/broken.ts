/** A reader of this command's output that has gone away, as `head` does when it has had enough. */

let handler: (() => void) | undefined;

/** Has output that nobody reads end the command quietly, or do what {@link whenBroken} says. */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (handler === undefined) process.exit(process.exitCode ?? 0);
      handler();
    });
  }
}

/** Calls back instead of ending the command. @returns what undoes it */
export function whenBroken(callback: () => void): () => void {
  handler = callback;
  return () => {
    if (handler === callback) handler = undefined;
  };
}
