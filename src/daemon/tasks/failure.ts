/** Failures of shims, as they are passed on or passed over. */
import { Code, TtrpcError } from '../../ttrpc/index.js';
import { isClosed } from './task.js';

/** The same error, of the same class, and what was attempted. */
export function prefixed(what: string, error: unknown): TtrpcError {
  const { code, message } = TtrpcError.from(error);
  return new TtrpcError(
    code === Code.NotFound && !(error instanceof TtrpcError) ? Code.Unknown : code,
    `${what}: ${message}`,
    { cause: error },
  );
}

/** Waits for something that may fail, and tells of a failure unless what was called is simply gone. */
export async function tolerated(work: Promise<unknown>, onError: (error: TtrpcError) => void): Promise<void> {
  try {
    await work;
  } catch (error) {
    const failure = TtrpcError.from(error);
    // What is gone need not be told to go.
    if (failure.code !== Code.NotFound && !isClosed(failure)) onError(failure);
  }
}
