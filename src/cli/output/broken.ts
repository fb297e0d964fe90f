/** A reader of this command's output that has gone away, as `head` does when it has had enough. */

let handler: (() => void) | undefined;

/** Those that something has been written to, or may have been. */
const opened: NodeJS.WriteStream[] = [];

/** Has output that nobody reads end the command quietly, or do what {@link whenBroken} says. */
export function watchOutput(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    // Node opens each when it is first asked for, which takes a moment: most commands have nothing to say on one of them.
    const descriptor = Object.getOwnPropertyDescriptor(process, name)!;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        const stream = descriptor.get!.call(process) as NodeJS.WriteStream;
        Object.defineProperty(process, name, { configurable: true, enumerable: true, value: stream });
        opened.push(stream);
        watch(stream);
        return stream;
      },
    });
  }
}

function watch(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (handler === undefined) process.exit(process.exitCode ?? 0);
    handler();
  });
}

/** Calls back, once, when all that was written is where it belongs. */
export function whenWritten(callback: () => void): void {
  let left = opened.length;
  if (left === 0) callback();
  for (const stream of opened)
    stream.write('', () => {
      if (--left === 0) callback();
    });
}

/** Calls back instead of ending the command. @returns what undoes it */
export function whenBroken(callback: () => void): () => void {
  handler = callback;
  return () => {
    if (handler === callback) handler = undefined;
  };
}
