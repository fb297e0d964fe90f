/** Events as the daemon publishes them, decoded. */
import { containerd, millis } from '../../api/full.js';
import type { EventEnvelope } from '../types/events.js';

type Envelope = containerd.services.events.v1.Envelope.$Properties;

const PACKAGE = 'containerd.events.';

export function envelopeOf({ timestamp, namespace, topic, event }: Envelope): EventEnvelope {
  const type = (event?.type_url ?? '').replace(/^.*\//, '');
  const raw = event?.value ?? new Uint8Array(0);
  return {
    timestamp: new Date(millis(timestamp) ?? 0),
    namespace: namespace ?? '',
    topic: topic ?? '',
    type,
    raw,
    event: decode(type, raw),
  };
}

function decode(type: string, value: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  const name = type.startsWith(PACKAGE) ? type.slice(PACKAGE.length) : undefined;
  if (name === undefined || !Object.hasOwn(containerd.events, name)) return undefined;
  const message = (
    containerd.events as unknown as Record<string, { decode?: (bytes: Uint8Array) => Record<string, unknown> }>
  )[name];
  return message?.decode?.(value);
}
