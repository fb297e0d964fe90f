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

export const invalidArgument = errorClass(Code.InvalidArgument);
export const notFound = errorClass(Code.NotFound);
export const alreadyExists = errorClass(Code.AlreadyExists);
export const failedPrecondition = errorClass(Code.FailedPrecondition);
export const notImplemented = errorClass(Code.Unimplemented);
export const resourceExhausted = errorClass(Code.ResourceExhausted);
export const unavailable = errorClass(Code.Unavailable);

/** An error of no class: its text is passed on as it is. */
export function unknown(message: string, cause?: unknown): TtrpcError {
  return new TtrpcError(Code.Unknown, message, { cause });
}
