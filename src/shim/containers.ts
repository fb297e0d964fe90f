/** The containers of one shim, by id: who may be made, found, removed, and when the shim may end. */
import { alreadyExists, notFound, unavailable } from '../api/errdefs.js';
import { Container } from './container.js';
import type { ShimContext } from './context.js';
import type { ContainerRecord } from './record.js';

export class Containers {
  readonly #containers = new Map<string, Container>();
  /** Ids whose create is under way: as good as taken, but nobody may see them yet. */
  readonly #creating = new Set<string>();
  #ending = false;

  constructor(private readonly shim: ShimContext) {}

  /** Creates a container; it can be found once it is there. */
  async create(record: ContainerRecord): Promise<Container> {
    const { id } = record;
    if (this.#ending) throw unavailable('the shim is shutting down');
    if (this.#containers.has(id) || this.#creating.has(id)) throw alreadyExists(`container ${id}`);
    this.#creating.add(id);
    try {
      const container = new Container(record, this.shim);
      await container.create();
      this.#containers.set(id, container);
      this.shim.record.containers[id] = record;
      return container;
    } finally {
      this.#creating.delete(id);
    }
  }

  /** @throws NotFound */
  get(id: string): Container {
    const container = this.#containers.get(id);
    if (!container) throw notFound('container not created');
    return container;
  }

  find(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  /** Deletes a container, and forgets it when that succeeded. */
  async delete(id: string): Promise<ContainerRecord> {
    const container = this.get(id);
    await container.delete();
    // A new container of the same name cannot have come meanwhile: the id was taken until here.
    this.#containers.delete(id);
    delete this.shim.record.containers[id];
    return container.record;
  }

  /** True when nothing is left and nothing is being made; from then on nothing can be made any more. */
  endIfEmpty(): boolean {
    if (this.#containers.size > 0 || this.#creating.size > 0) return false;
    this.#ending = true;
    return true;
  }

  describe(): Record<string, unknown> {
    return {
      creating: [...this.#creating],
      containers: Object.fromEntries([...this.#containers].map(([id, container]) => [id, container.describe()])),
    };
  }
}
