/** What containers are made of, for events that do not say so: those that are there, and that come. */
import type { Client, ContainerRecord, EventEnvelope } from '../../client/index.js';
import { nameOf } from '../session.js';

export class KnownContainers {
  readonly #records = new Map<string, Pick<ContainerRecord, 'image' | 'labels'>>();

  constructor(private readonly client: Client) {}

  /** All that are there now. */
  async learn(): Promise<void> {
    for (const { id, record } of await this.client.containers()) this.#records.set(id, record);
  }

  /** An event may be of one that is not known yet. What is gone already has told its image, and nobody knows its labels. */
  async see({ topic, event }: EventEnvelope): Promise<void> {
    const id = event?.id;
    if (typeof id !== 'string' || (topic !== '/containers/create' && topic !== '/containers/update')) return;
    const { NotFoundError } = await import('../../client/index.js');
    try {
      this.#records.set(id, (await this.client.load(id)).record);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      const image = event?.image;
      if (topic === '/containers/create')
        this.#records.set(id, { image: typeof image === 'string' ? image : '', labels: {} });
    }
  }

  imageOf(id: string): string | undefined {
    return this.#records.get(id)?.image;
  }

  labelsOf(id: string): Readonly<Record<string, string>> | undefined {
    return this.#records.get(id)?.labels;
  }

  /** Beside its id. */
  nameOf(id: string): string | undefined {
    return nameOf(this.#records.get(id)?.labels ?? {});
  }
}

/** Id of the container that an event is of, or the name of what else it is of; empty where it names nothing. */
export function containerOf({ event }: Pick<EventEnvelope, 'event'>): string {
  const id = event?.container_id ?? event?.containerId ?? event?.id ?? event?.name ?? '';
  return typeof id === 'string' ? id : '';
}
