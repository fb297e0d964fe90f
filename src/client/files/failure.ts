/** What goes wrong with a container's files, in this library's classes. */
import { Code, TtrpcError } from '../../ttrpc/status.js';
import {
  AbortError,
  ClientError,
  errorOf,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  PermissionDeniedError,
  ResourceExhaustedError,
  UnknownError,
} from '../errors.js';

/** @param what names the container, and what was to be done */
export function filesError(what: string, error: unknown): Error {
  if (error instanceof ClientError || error instanceof AbortError) return error;
  const options = { cause: error };
  if (error instanceof TtrpcError) return errorOf(error.code, `${what}: ${error.message}`, error);
  const { code = '', message } = error as NodeJS.ErrnoException;
  // Not the system's.
  if (!/^E[A-Z0-9]+$/.test(code)) return error as Error;
  switch (code) {
    case 'EPERM':
    case 'EACCES':
      return new PermissionDeniedError(
        Code.PermissionDenied,
        `${what}: ${message}: only root of the daemon's machine gets at files of containers: permission denied`,
        options,
      );
    case 'EROFS':
      return new FailedPreconditionError(
        Code.FailedPrecondition,
        `${what}: it is read-only: failed precondition`,
        options,
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new ResourceExhaustedError(Code.ResourceExhausted, `${what}: ${message}: resource exhausted`, options);
    case 'ENOENT':
      return new NotFoundError(Code.NotFound, `${what}: ${message}: not found`, options);
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ELOOP':
    case 'ENAMETOOLONG':
    case 'EINVAL':
      return new InvalidArgumentError(Code.InvalidArgument, `${what}: ${message}: invalid argument`, options);
    default:
      return new UnknownError(Code.Unknown, `${what}: ${message}`, options);
  }
}

/** Does work on files, and says what it was about when it fails. */
export async function aboutFiles<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw filesError(what, error);
  }
}

/** Passes on what comes, until the signal is aborted. */
export async function* toldOf<T>(what: string, chunks: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* chunks;
  } catch (error) {
    throw filesError(what, error);
  }
}
