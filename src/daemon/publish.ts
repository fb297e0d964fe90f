/** `hawserd publish`: how shims that have no connection of their own tell an event (contract §4.2). */
import { ContainerdServicesEventsTtrpcV1Events as Events, google } from '../api/full.js';
import { realtime } from '../sys/index.js';
import { connect } from '../ttrpc/index.js';

/** For the whole of it. A shim waits for the command's end. */
const BOUND_MS = 5_000;

/**
 * @param socket where the daemon takes events from shims
 * @param bytes a google.protobuf.Any
 */
export async function publishEvent(
  socket: string,
  { topic, namespace }: { readonly topic: string; readonly namespace: string },
  bytes: Uint8Array,
): Promise<void> {
  const event = decode(bytes);
  const client = await connect(socket, { timeoutMs: BOUND_MS }).catch((cause: unknown) => {
    throw new Error(
      `cannot reach a hawserd to tell ${topic} to: ${(cause as Error).message}; is one running? Name its socket with --address`,
      { cause },
    );
  });
  try {
    await client
      .service(Events)
      .Forward({ envelope: { timestamp: realtime(), namespace, topic, event } }, { timeoutMs: BOUND_MS });
  } finally {
    client.close();
  }
}

function decode(bytes: Uint8Array): google.protobuf.Any {
  let event: google.protobuf.Any | undefined;
  try {
    event = google.protobuf.Any.decode(bytes);
  } catch (cause) {
    throw new Error(`standard input is no google.protobuf.Any: ${(cause as Error).message}`, { cause });
  }
  if (event.type_url === '') throw new Error('standard input is no google.protobuf.Any: it names no type');
  return event;
}
