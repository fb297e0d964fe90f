/** What an envelope must be like, and its fields as filters name them. */
import { errdefs, eventType, ZERO_TIME } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { entry, field, type Adapter } from '../filter/index.js';
import type { Envelope } from './types.js';

/** `/tasks/exit`: each part an identifier (contract §4.2). */
export function checkTopic(topic: string): void {
  if (!topic.startsWith('/')) throw errdefs.invalidArgument(`event topic ${JSON.stringify(topic)} must start with "/"`);
  if (topic.length === 1) throw errdefs.invalidArgument('event topic "/" must name something after the "/"');
  for (const part of topic.slice(1).split('/'))
    checkIdentifier(`part of the event topic ${JSON.stringify(topic)}`, part);
}

/** @throws InvalidArgument for an envelope that containerd would not pass on either */
export function checkEnvelope({ namespace, topic, timestamp }: Envelope): void {
  checkIdentifier('namespace of an event', namespace ?? '');
  checkTopic(topic ?? '');
  const seconds = Number(timestamp?.seconds ?? 0);
  if (timestamp == null || seconds === ZERO_TIME.seconds || (seconds === 0 && !timestamp.nanos)) {
    throw errdefs.invalidArgument(`event ${topic} has no timestamp`);
  }
}

/**
 * Reads `namespace`, `topic` and `event.FIELD` of an envelope. Fields of an event go by their names in the .proto; text,
 * numbers and labels can be asked for, of events that this daemon knows. The event is decoded when a filter first asks.
 */
export function envelopeAdapter(envelope: Envelope): Adapter {
  let event: object | undefined;
  return ([first = '', ...rest]) => {
    switch (first) {
      case 'namespace':
        return rest.length > 0 ? undefined : field(envelope.namespace);
      case 'topic':
        return rest.length > 0 ? undefined : field(envelope.topic);
      case 'event':
        return read((event ??= decode(envelope)), rest);
      default:
        return undefined;
    }
  };
}

function decode({ event }: Envelope): object {
  const type = eventType(event?.type_url ?? '');
  if (type === undefined) return {};
  try {
    return type.decode(event?.value ?? new Uint8Array());
  } catch (error) {
    // An event that is not what it says it is has no fields; its subscribers get it all the same.
    if (error instanceof Error) return {};
    throw error;
  }
}

function read(message: object, [first, ...rest]: readonly string[]): string | undefined {
  const name = first?.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (name === undefined || !Object.hasOwn(message, name)) return undefined;
  const value = (message as Record<string, unknown>)[name];
  if (typeof value === 'object' && value !== null) {
    return name === 'labels' ? entry(value as Record<string, string>, rest) : read(value, rest);
  }
  if (rest.length > 0) return undefined;
  if (typeof value === 'string') return field(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
