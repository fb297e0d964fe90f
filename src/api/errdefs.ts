/**
 * containerd's error classes: each is a status code and a text at the end of the message by which clients of every
 * version know it again (contract §3.2).
 */
import { Code, TtrpcError } from '../ttrpc/status.js';

const suffixes = new Map<Code, string>([
  [Code.InvalidArgument, 'invalid argument'],
  [Code.NotFound, 'not found'],
  [Code.AlreadyExists, 'already exists'],
  [Code.PermissionDenied, 'permission denied'],
  [Code.ResourceExhausted, 'resource exhausted'],
  [Code.FailedPrecondition, 'failed precondition'],
  [Code.Unimplemented, 'not implemented'],
  [Code.Unavailable, 'unavailable'],
]);

function errorClass(code: Code) {
  const suffix = suffixes.get(code);
  return (message: string, cause?: unknown): TtrpcError => new TtrpcError(code, `${message}: ${suffix}`, { cause });
}

/** The request is wrong in itself. The message gets the words by which clients know the class. */
export const invalidArgument = errorClass(Code.InvalidArgument);
/** What the request names is not there. The message gets the words by which clients know the class. */
export const notFound = errorClass(Code.NotFound);
/** What the request would make is there. The message gets the words by which clients know the class. */
export const alreadyExists = errorClass(Code.AlreadyExists);
/** The state at hand does not allow it. The message gets the words by which clients know the class. */
export const failedPrecondition = errorClass(Code.FailedPrecondition);
/** There is no such operation here. The message gets the words by which clients know the class. */
export const notImplemented = errorClass(Code.Unimplemented);
/** A limit is reached. The message gets the words by which clients know the class. */
export const resourceExhausted = errorClass(Code.ResourceExhausted);
/** Not now; the same request may succeed later. The message gets the words by which clients know the class. */
export const unavailable = errorClass(Code.Unavailable);

/** An error of no class: its text is passed on as it is. */
export function unknown(message: string, cause?: unknown): TtrpcError {
  return new TtrpcError(Code.Unknown, message, { cause });
}
