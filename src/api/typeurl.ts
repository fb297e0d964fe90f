/** Names of message types inside an Any (contract §5.4). */
import type { google } from './gen/api.js';

type Any = google.protobuf.Any.$Properties;

/** True for the type's own name, and for `anything/name` as other libraries write it. */
export function isType(any: Any, name: string): boolean {
  const url = any.type_url ?? '';
  return url === name || url.endsWith(`/${name}`);
}

/** An Any under the type's bare name, the form that containerd's registry knows. */
export function pack<Init>(
  name: string,
  type: { encode(message: Init): { finish(): Uint8Array } },
  message: Init,
): Any {
  return { type_url: name, value: type.encode(message).finish() };
}
