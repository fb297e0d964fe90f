/** Events of the daemon's own records, under containerd's topics (contract §4.1). */
import { eventType, eventTypeName, pack, type EventInit, type EventName } from '../../api/full.js';
import type { Exchange } from './types.js';

/** What happens to records, told to whoever subscribes. */
export type Publish = <Name extends EventName>(
  namespace: string,
  topic: string,
  name: Name,
  event: EventInit<Name>,
) => void;

export function publisher(events: Pick<Exchange, 'publish'>): Publish {
  return (namespace, topic, name, event) => {
    const type = eventTypeName(name);
    events.publish(namespace, topic, pack(type, eventType(type)!, event));
  };
}
