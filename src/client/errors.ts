/** What calls fail with: one class for each of containerd's classes of errors. */
import { Code, TtrpcError } from '../ttrpc/status.js';

/** A call that the daemon, or the way to it, has failed. `code` is gRPC's. */
export class ClientError extends TtrpcError {
  override readonly name: string = 'ClientError';
}

/** There is no such container, task, process, image, … */
export class NotFoundError extends ClientError {
  override readonly name = 'NotFoundError';
}
/** There is one of that name already. */
export class AlreadyExistsError extends ClientError {
  override readonly name = 'AlreadyExistsError';
}
/** Not in the state that it is in. */
export class FailedPreconditionError extends ClientError {
  override readonly name = 'FailedPreconditionError';
}
/** What was given can never do. */
export class InvalidArgumentError extends ClientError {
  override readonly name = 'InvalidArgumentError';
}
/** This user may not. */
export class PermissionDeniedError extends ClientError {
  override readonly name = 'PermissionDeniedError';
}
/** More than is allowed or there is. */
export class ResourceExhaustedError extends ClientError {
  override readonly name = 'ResourceExhaustedError';
}
/** The daemon or the shim does not have that. */
export class UnimplementedError extends ClientError {
  override readonly name = 'UnimplementedError';
}
/** The daemon is not there, or has gone away during the call. */
export class UnavailableError extends ClientError {
  override readonly name = 'UnavailableError';
}
/** It was not done in the time that it was given. */
export class DeadlineExceededError extends ClientError {
  override readonly name = 'DeadlineExceededError';
}
/** Whoever is asked does not know who asks, or does not believe it: a registry without a login. */
export class UnauthenticatedError extends ClientError {
  override readonly name = 'UnauthenticatedError';
}
/** Of no class: what the shim or the runtime said. */
export class UnknownError extends ClientError {
  override readonly name = 'UnknownError';
}

/** The call's signal was aborted. `cause` is the signal's reason. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';

  /** The cause is why the signal was aborted: its reason. */
  constructor(reason: unknown) {
    super('the call was aborted', { cause: reason });
  }
}

const CLASSES = new Map<Code, new (code: Code, message: string, options?: { cause?: unknown }) => ClientError>([
  [Code.NotFound, NotFoundError],
  [Code.AlreadyExists, AlreadyExistsError],
  [Code.FailedPrecondition, FailedPreconditionError],
  [Code.InvalidArgument, InvalidArgumentError],
  [Code.PermissionDenied, PermissionDeniedError],
  [Code.ResourceExhausted, ResourceExhaustedError],
  [Code.Unimplemented, UnimplementedError],
  [Code.Unavailable, UnavailableError],
  [Code.DeadlineExceeded, DeadlineExceededError],
  [Code.Unauthenticated, UnauthenticatedError],
  [Code.Unknown, UnknownError],
]);

/** The error of a code's class, its text as given. */
export function errorOf(code: Code, message: string, cause?: unknown): ClientError {
  return new (CLASSES.get(code) ?? ClientError)(code, message, { cause });
}
