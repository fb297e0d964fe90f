/** What calls fail with: one class for each of containerd's classes of errors. */
import { Code, TtrpcError } from '../ttrpc/status.js';
import type { PartialOutput } from './types/process.js';

/** A call that the daemon, or the way to it, has failed. `code` is gRPC's. */
export class ClientError extends TtrpcError {
  override readonly name: string = 'ClientError';
  /** What had been read, when it was output that was waited for. */
  declare output?: PartialOutput<string> | PartialOutput<Buffer>;
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

/** What was to be run is not there: the program itself, or what its first line names. */
export class ProgramNotFoundError extends ClientError {
  override readonly name = 'ProgramNotFoundError';
  /** What a shell has for it. */
  readonly exitCode = 127;
}
/** What was to be run is there and cannot be run, or its working directory cannot be entered. */
export class ProgramNotExecutableError extends ClientError {
  override readonly name = 'ProgramNotExecutableError';
  /** What a shell has for it. */
  readonly exitCode = 126;
}

/** The call was given up by who has made it: its signal was aborted, whose reason is the `cause`, or its stream was cancelled. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
  /** What had been read, when it was output that was waited for. */
  declare output?: PartialOutput<string> | PartialOutput<Buffer>;

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
