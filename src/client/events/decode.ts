/** Events as the daemon publishes them, decoded. */
import { eventType, millis, type containerd } from '../../api/full.js';
import type { EventEnvelope } from '../types/events.js';

type Envelope = containerd.services.events.v1.Envelope.$Properties;

export function envelopeOf({ timestamp, namespace, topic, event }: Envelope): EventEnvelope {
  const type = (event?.type_url ?? '').replace(/^.*\//, '');
  const raw = event?.value ?? new Uint8Array(0);
  return {
    timestamp: new Date(millis(timestamp) ?? 0),
    namespace: namespace ?? '',
    topic: topic ?? '',
    type,
    raw,
    event: eventType(type)?.decode(raw),
  };
}
