/** Envelopes: the Request and Response messages that a frame's payload holds, to and from bytes. */
import { ttrpc } from './gen/ttrpc.js';
import { now } from './deadline.js';
import type { Metadata } from './metadata.js';
import { Code, oversized, TtrpcError, type AnyMessage } from './status.js';
import { FrameType, joinFrame, MAX_MESSAGE_LENGTH, type FrameBytes } from './wire.js';

export const EMPTY = new Uint8Array(0);

/** `bytes payload`: field 3 of Request, field 2 of Response. */
const REQUEST_PAYLOAD = 0x1a;
const RESPONSE_PAYLOAD = 0x12;

/** The part of a request's envelope that names the method. Made once for a method, used for each of its calls. */
export function requestHead(service: string, method: string): Uint8Array {
  return ttrpc.Request.encode({ service, method }).finish();
}

/** A request's frame. Throws when it would be too long. `deadline` becomes what is left of it now. */
export function requestFrame(
  streamId: number,
  flags: number,
  head: Uint8Array,
  payload: Uint8Array,
  deadline: number | undefined,
  metadata: Metadata | undefined,
): FrameBytes {
  const tail =
    deadline === undefined && metadata === undefined
      ? EMPTY
      : requestTail(deadline === undefined ? undefined : nanosUntil(deadline), metadata);
  return requestFrameOf(streamId, flags, head, payload, tail);
}

/** What follows the payload in a request's envelope: how long the call may take, and its metadata. */
export function requestTail(timeoutNano: number | undefined, metadata: Metadata | undefined): Uint8Array {
  return ttrpc.Request.encode({
    ...(timeoutNano === undefined ? {} : { timeoutNano }),
    ...(metadata === undefined ? {} : { metadata: Array.from(metadata, ([key, value]) => ({ key, value })) }),
  }).finish();
}

/** A request's frame, from what comes before its payload and after it: the same for all calls of a method that may take as long. */
export function requestFrameOf(
  streamId: number,
  flags: number,
  head: Uint8Array,
  payload: Uint8Array,
  tail: Uint8Array,
): FrameBytes {
  // The generated code would copy the payload, so only the fields around it are left to it. Fields of a
  // message may be encoded apart and put one after the other.
  const parts =
    payload.length === 0 ? [head, tail] : [head, lengthPrefix(REQUEST_PAYLOAD, payload.length), payload, tail];
  return checkedFrame(streamId, FrameType.request, flags, parts);
}

/** A request's bytes up to what is about a single call: its time limit and its metadata. As Go's client begins it, too. */
export function beginningOfRequest(service: string, method: string, payload: Uint8Array): Uint8Array {
  const head = requestHead(service, method);
  return payload.length === 0 ? head : Buffer.concat([head, lengthPrefix(REQUEST_PAYLOAD, payload.length), payload]);
}

/** At least 1, as 0 means that there is no limit. */
function nanosUntil(deadline: number): number {
  return Math.max(1, Math.min(Math.round((deadline - now()) * 1e6), 2 ** 62));
}

/** A request as it came. */
export function encodeRequest({ service, method, payload, timeoutMs, metadata }: Request): Uint8Array {
  const timeoutNano = timeoutMs === undefined ? 0 : Math.round(timeoutMs * 1e6);
  return ttrpc.Request.encode({ service, method, payload, timeoutNano, metadata: [...metadata] }).finish();
}

/** A successful reply's frame. Throws when it would be too long. */
export function replyFrame(streamId: number, payload: Uint8Array): FrameBytes {
  const parts = payload.length === 0 ? [] : [lengthPrefix(RESPONSE_PAYLOAD, payload.length), payload];
  return checkedFrame(streamId, FrameType.response, 0, parts);
}

/** A failed reply's frame. One that would be too long says so instead of what it would have said. */
export function errorFrame(streamId: number, error: TtrpcError): FrameBytes {
  const { message, details } = error;
  // A status with code 0 would be taken for a success.
  const code = error.code === Code.OK ? Code.Unknown : error.code;
  const payload = ttrpc.Response.encode({ status: { code, message, details: [...details] } }).finish();
  if (payload.length > MAX_MESSAGE_LENGTH) return errorFrame(streamId, oversized(payload.length, MAX_MESSAGE_LENGTH));
  return joinFrame(streamId, FrameType.response, 0, [payload], payload.length);
}

function checkedFrame(streamId: number, type: number, flags: number, parts: readonly Uint8Array[]): FrameBytes {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > MAX_MESSAGE_LENGTH) throw oversized(length, MAX_MESSAGE_LENGTH);
  return joinFrame(streamId, type, flags, parts, length);
}

/** A field's tag and length, as they stand before its bytes. */
function lengthPrefix(tag: number, length: number): Uint8Array {
  const prefix = [tag];
  let rest = length;
  for (; rest > 127; rest >>>= 7) prefix.push((rest & 127) | 128);
  prefix.push(rest);
  return Uint8Array.from(prefix);
}

/** A request as it came. */
export interface Request {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** What was left of the caller's time; undefined when it has set no limit. */
  readonly timeoutMs: number | undefined;
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
}

/** Throws when the bytes are no request. */
export function decodeRequest(bytes: Uint8Array): Request {
  const { service, method, payload, timeoutNano, metadata } = ttrpc.Request.decode(bytes);
  // A number where the `long` package is not installed, as in a bundle.
  const nanos = typeof timeoutNano === 'number' ? timeoutNano : timeoutNano.toNumber();
  return {
    service,
    method,
    payload,
    timeoutMs: nanos === 0 ? undefined : nanos / 1e6,
    metadata: metadata as Request['metadata'],
  };
}

/** A response: its result, or the error that it carries. Throws when the bytes are no response. */
export function decodeResponse(bytes: Uint8Array): Uint8Array | TtrpcError {
  const { status, payload } = ttrpc.Response.decode(bytes);
  if (!status?.code) return payload;
  return new TtrpcError(status.code, status.message ?? '', { details: status.details as AnyMessage[] | undefined });
}
