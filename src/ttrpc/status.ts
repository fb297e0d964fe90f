/** Errors: gRPC's status codes, one error class, and the one place that turns anything thrown into it. */

/** gRPC's status codes, which ttrpc uses as they are. */
export enum Code {
  OK = 0,
  Canceled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
}

/** A message of any type: a google.protobuf.Any. */
export interface AnyMessage {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** What else a {@link TtrpcError} may carry. */
export interface TtrpcErrorOptions {
  /** Typed messages that travel with the error. */
  readonly details?: readonly AnyMessage[] | undefined;
  /** What led to it. Stays on this side of the wire. */
  readonly cause?: unknown;
}

/** Registered, so that an error is recognised by every copy of this package in a process. */
const BRAND = Symbol.for('hawser.ttrpc.TtrpcError');

/** What every failed call fails with, and what a handler throws to fail one. */
export class TtrpcError extends Error {
  override readonly name: string = 'TtrpcError';
  readonly code: Code;
  readonly details: readonly AnyMessage[];

  /** The message goes to the client as it is; of the options the cause stays here. */
  constructor(code: Code, message: string, options: TtrpcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
  }

  /** The code's name, e.g. `NotFound`. */
  get codeName(): string {
    return Code[this.code] ?? `Code(${this.code})`;
  }

  /** `instanceof TtrpcError` holds for errors of other copies of this package; subclasses are told apart as usual. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== TtrpcError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true;
  }

  /**
   * Makes a TtrpcError of whatever was thrown: one that already is comes back as it is, anything else keeps its text word
   * for word and gets its code from what kind of error it is. Causes aren't looked at: an error that was wrapped is
   * a new error, and Unknown unless it says otherwise.
   */
  static from(thrown: unknown): TtrpcError {
    if (thrown instanceof TtrpcError) return thrown;
    if (thrown instanceof Error) return new TtrpcError(codeOf(thrown), thrown.message, { cause: thrown });
    return new TtrpcError(Code.Unknown, String(thrown), { cause: thrown });
  }
}

// Not a field: it would be printed with every error.
Object.defineProperty(TtrpcError.prototype, BRAND, { value: true });

/** System errors, as the Go server classes them; the rest of them are Unknown. */
const CODE_OF_ERRNO: ReadonlyMap<string, Code> = new Map([
  ['ENOENT', Code.NotFound],
  ['EEXIST', Code.AlreadyExists],
  ['ENOTEMPTY', Code.AlreadyExists],
  ['EACCES', Code.PermissionDenied],
  ['EPERM', Code.PermissionDenied],
  ['EINVAL', Code.InvalidArgument],
  ['EOF', Code.OutOfRange],
  ['EPIPE', Code.FailedPrecondition],
  ['ERR_STREAM_PREMATURE_CLOSE', Code.FailedPrecondition],
  ['ERR_STREAM_DESTROYED', Code.FailedPrecondition],
  ['ERR_STREAM_WRITE_AFTER_END', Code.FailedPrecondition],
  // A failed assertion, like the two classes below, is what a panic is in Go: a bug, not an outcome.
  ['ERR_ASSERTION', Code.Internal],
]);

function codeOf(error: Error): Code {
  if (error.name === 'AbortError') return Code.Canceled;
  if (error.name === 'TimeoutError') return Code.DeadlineExceeded;
  // DOMException has a numeric `code` of its own, which means nothing here.
  const { code } = error as { code?: unknown };
  const known = typeof code === 'string' ? CODE_OF_ERRNO.get(code) : undefined;
  if (known !== undefined) return known;
  return error instanceof TypeError || error instanceof ReferenceError ? Code.Internal : Code.Unknown;
}

/** The error for a message that is too long to be sent or was too long to be received. */
export function oversized(length: number, limit: number): TtrpcError {
  return new TtrpcError(Code.ResourceExhausted, `message length ${length} exceed maximum message size of ${limit}`);
}

/** The text of whatever was thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
