/** How often each container ran out of memory, by the events of its shim. */
import { containerd } from '../../api/full.js';
import type { Exchange } from '../events/types.js';

export class OomCounter {
  readonly #counts = new Map<string, number>();

  /** Counts from now on, until the signal aborts. */
  async follow(events: Exchange, signal: AbortSignal): Promise<void> {
    for await (const { namespace, topic, event } of events.subscribe(
      ['topic=="/tasks/oom"', 'topic=="/tasks/delete"'],
      signal,
    )) {
      // Both events have the container's id as their first field.
      const { containerId } = containerd.events.TaskOOM.decode(event?.value ?? new Uint8Array());
      const key = `${namespace}/${containerId}`;
      if (topic === '/tasks/oom') this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      else this.#counts.delete(key);
    }
  }

  count(namespace: string, id: string): number {
    return this.#counts.get(`${namespace}/${id}`) ?? 0;
  }
}
