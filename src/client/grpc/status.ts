/** How a call has ended, as gRPC has it: in the headers that end a stream of HTTP/2, or in how the stream was broken off. */
import { Code } from '../../ttrpc/status.js';
import { CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, REFUSED_STREAM } from '../http2/codes.js';
import type { Headers } from '../http2/stream.js';

/** The end of a call that is no success. */
export class StatusError extends Error {
  override readonly name = 'StatusError';

  constructor(
    readonly code: Code,
    readonly details: string,
    options?: ErrorOptions,
  ) {
    super(details, options);
  }
}

/** Of the headers at the end: an error, undefined for a success, or nothing at all where they have no status. */
export function statusOf(headers: Headers): { readonly error: StatusError | undefined } | undefined {
  const status = headers['grpc-status'];
  if (status === undefined) return undefined;
  const code = Number(status);
  if (code === 0) return { error: undefined };
  const details = decoded(headers['grpc-message'] ?? '');
  return { error: new StatusError(Code[code] === undefined ? Code.Unknown : code, details) };
}

/** Of a daemon that answers as any server of HTTP does. */
export function httpError(status: number | undefined): StatusError | undefined {
  if (status === 200) return undefined;
  const codes: Readonly<Record<number, Code>> = {
    400: Code.Internal,
    401: Code.Unauthenticated,
    403: Code.PermissionDenied,
    404: Code.Unimplemented,
    429: Code.Unavailable,
    502: Code.Unavailable,
    503: Code.Unavailable,
    504: Code.Unavailable,
  };
  return new StatusError(codes[status ?? 0] ?? Code.Unknown, `the daemon answered with HTTP's status ${status}`);
}

/** Of a stream that was broken off without a status. */
export function resetError(reset: number | undefined): StatusError {
  const codes: Readonly<Record<number, Code>> = {
    [REFUSED_STREAM]: Code.Unavailable,
    [CANCEL]: Code.Canceled,
    [ENHANCE_YOUR_CALM]: Code.ResourceExhausted,
    [INADEQUATE_SECURITY]: Code.PermissionDenied,
  };
  return new StatusError(codes[reset ?? 0] ?? Code.Internal, `the daemon broke the call off (HTTP/2's code ${reset})`);
}

/** Each byte that is no printable ASCII is %XX. What is no such text is taken as it is. */
function decoded(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch (error) {
    if (error instanceof URIError) return message;
    throw error;
  }
}
