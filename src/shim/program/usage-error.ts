/** A command line that cannot be understood: usage goes to standard error, exit status 2. */
export class UsageError extends Error {
  /** @param usage what to print after the message; the program's own usage unless given */
  constructor(
    message: string,
    readonly usage?: string,
  ) {
    super(message);
  }
}
