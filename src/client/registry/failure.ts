/** What goes wrong with a registry, in the client's classes of errors. */
import { Code } from '../../ttrpc/status.js';
import { ClientError, errorOf } from '../errors.js';

/** How it failed, beside what the user reads. */
interface Failing {
  readonly code: Code;
  /** The same may succeed later. */
  readonly transient?: boolean;
  /** In how many milliseconds, as the registry says. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

const details = new WeakMap<Error, Failing>();

/** An error about a registry. Its text begins with what could not be done. */
export function failure(text: string, failing: Failing): ClientError {
  const error = errorOf(failing.code, text, failing.cause);
  details.set(error, failing);
  return error;
}

/** Whether the same may succeed when it is tried again. */
export function isTransient(error: unknown): error is ClientError {
  return error instanceof ClientError && details.get(error)?.transient === true;
}

/** How long the registry wants to be left alone; undefined when it does not say. */
export function retryAfter(error: unknown): number | undefined {
  return error instanceof Error ? details.get(error)?.retryAfterMs : undefined;
}

const CODES: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  408: Code.Unavailable,
  409: Code.FailedPrecondition,
  413: Code.ResourceExhausted,
  416: Code.OutOfRange,
  429: Code.ResourceExhausted,
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The beginning of its body. */
  readonly text: string;
}

/**
 * An answer that is none. What the registry says of it is in the text.
 *
 * @param what was asked for: `manifest latest of localhost:5000/box`
 */
export function answered(what: string, host: string, { status, headers, text }: Answer): ClientError {
  const code = CODES[status] ?? (status >= 500 ? Code.Unavailable : Code.Unknown);
  const said = saying(text);
  return failure(`${what}: ${meaning(status, host)}${said === '' ? '' : ` (${said})`}`, {
    code,
    transient: status === 408 || status === 429 || status >= 500,
    retryAfterMs: delayOf(headers['retry-after']),
  });
}

function meaning(status: number, host: string): string {
  switch (status) {
    case 401:
      return `${host} wants to know who asks, and does not take what it was told: log in with \`hawser login\` or \`docker login\``;
    case 403:
      return `${host} does not allow it`;
    case 404:
      return `${host} has none`;
    case 429:
      return `${host} is asked too often: wait, or log in`;
    default:
      return `${host} answers with status ${status}`;
  }
}

/** The messages of a body as the distribution specification has them, or the first words of another one. */
function saying(text: string): string {
  try {
    const { errors, details: detail } = JSON.parse(text) as {
      errors?: { code?: string; message?: string }[];
      details?: string;
    };
    return (errors ?? []).map(({ message, code }) => message || code || '').join('; ') || (detail ?? '');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return /^\s*</.test(text) ? '' : text.trim().slice(0, 200);
  }
}

/** Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
function delayOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** A cause that goes by itself, or may. */
const PASSING = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/**
 * No answer, or half of one.
 *
 * @param known the host has answered before, so that one which is not there now may be back soon
 */
export function unreachable(what: string, host: string, thrown: unknown, known: boolean): ClientError {
  const error = thrown as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  // Of several addresses, each has failed in its own way.
  const { code = '', message } = error.errors?.[0] ?? error;
  return failure(`${what}: ${host} cannot be reached: ${hint(code) ?? message}`, {
    code: Code.Unavailable,
    transient: PASSING.has(code) || (known && ['ECONNREFUSED', 'ENOTFOUND'].includes(code)),
    cause: thrown,
  });
}

function hint(code: string): string | undefined {
  switch (code) {
    case 'ENOTFOUND':
      return 'there is no host of that name';
    case 'ECONNREFUSED':
      return 'nobody listens there';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return 'its certificate is signed by nobody that is known here: name its authority as `ca` in hosts.toml';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return 'it does not speak TLS: name it with http:// as `server` in hosts.toml';
    default:
      return undefined;
  }
}
