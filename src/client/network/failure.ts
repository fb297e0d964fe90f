/** Errors about networks. */
import { Code } from '../../ttrpc/status.js';
import { AlreadyExistsError, FailedPreconditionError, InvalidArgumentError, NotFoundError } from '../errors.js';

/** What was given can never do. */
export const invalid = (text: string): InvalidArgumentError => new InvalidArgumentError(Code.InvalidArgument, text);
/** Something is to be done first. */
export const precondition = (text: string, cause?: unknown): FailedPreconditionError =>
  new FailedPreconditionError(Code.FailedPrecondition, text, { cause });
export const notFound = (text: string): NotFoundError => new NotFoundError(Code.NotFound, text);
export const alreadyExists = (text: string): AlreadyExistsError => new AlreadyExistsError(Code.AlreadyExists, text);

/** The code of a system call's error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
