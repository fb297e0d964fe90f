import type { ExitStatus } from '../sys/index.js';

/** A command of an OCI runtime failed. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  /** What it exited with; undefined when it could not be started. */
  readonly status: ExitStatus | undefined;
  /** What it printed. */
  readonly output: string;
  /** The last error it logged, trimmed: the text to show to people. */
  readonly logged: string | undefined;

  /** What the command said, and how it ended. */
  constructor(
    message: string,
    options: { status?: ExitStatus; output?: string; logged?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.output = options.output ?? '';
    this.logged = options.logged;
  }
}
