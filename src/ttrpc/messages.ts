/** A server's messages to and from bytes, with the errors that the Go server answers with when that fails. */
import type { MessageType } from './service.js';
import { Code, textOf, TtrpcError } from './status.js';

export function decodeMessage<T>(type: Pick<MessageType<never, T>, 'decode'>, payload: Uint8Array): T {
  try {
    return type.decode(payload);
  } catch (error) {
    throw new TtrpcError(Code.Internal, `ttrpc: error unmarshalling payload: ${textOf(error)}`, { cause: error });
  }
}

export function encodeMessage<T>(type: Pick<MessageType<T, unknown>, 'encode'>, message: T): Uint8Array {
  try {
    return type.encode(message).finish();
  } catch (error) {
    throw new TtrpcError(Code.Internal, `ttrpc: error marshalling payload: ${textOf(error)}`, { cause: error });
  }
}
