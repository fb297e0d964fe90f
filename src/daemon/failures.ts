/** Telling errors of containerd's classes apart. */
import { Code, TtrpcError } from '../ttrpc/status.js';

export function isNotFound(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.NotFound;
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.AlreadyExists;
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.Unavailable;
}

/** An offset that does not fit; a class that has no text of its own. */
export function outOfRange(message: string): TtrpcError {
  return new TtrpcError(Code.OutOfRange, message);
}
