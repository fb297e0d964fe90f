/** Events of the daemon's own records, under containerd's topics (contract §4.1). */
import { containerd, pack } from '../../api/full.js';
import type { Exchange } from './types.js';

type Events = typeof containerd.events;
type EventName = { [Name in keyof Events]: Events[Name] extends { encode: unknown } ? Name : never }[keyof Events];

/** What happens to records, told to whoever subscribes. */
export type Publish = <Name extends EventName>(
  namespace: string,
  topic: string,
  name: Name,
  event: Parameters<Events[Name]['encode']>[0],
) => void;

export function publisher(events: Pick<Exchange, 'publish'>): Publish {
  return (namespace, topic, name, event) => {
    const type = containerd.events[name] as { encode(message: unknown): { finish(): Uint8Array } };
    events.publish(namespace, topic, pack(`containerd.events.${name}`, type, event));
  };
}
