/** The containers of one shim, by id: who may be made, found, removed, and when the shim may end. */
import { alreadyExists, notFound, unavailable } from '../../api/errdefs.js';
import { Code, TtrpcError } from '../../ttrpc/status.js';
import { Container } from './container.js';
import type { ShimContext } from './context.js';
import type { ContainerSnapshot } from '../debug/sources.js';
import type { ContainerRecord } from '../record/record.js';
import type { Lost } from './lost.js';
import type { RestingContainer } from './resting.js';
import type { Found, Leaving } from '../worker/leaving.js';
import type { SandboxOwner } from './sandbox-service.js';

/** Deleted containers kept for clients that have not asked again. */
const MAX_UNANSWERED = 64;

/** Deleted containers that a client may not have heard of when this process ends. */
const MAX_DELETED = 16;

/** Plain data, but for descriptors. */
export interface RestingContainers {
  readonly containers: readonly RestingContainer[];
  readonly isSandbox: boolean;
  /** Those whose create is under way. */
  readonly creating?: readonly ContainerRecord[];
  /** Deleted lately. */
  readonly deleted?: readonly ContainerRecord[];
}

export class Containers {
  readonly #containers = new Map<string, Container>();
  /** Ids whose create is under way: as good as taken, but nobody may see them yet. */
  readonly #creating = new Map<string, Container>();
  /** Deleted, but whoever asked for it had given up by then: the answer is kept for when it asks again. */
  readonly #unanswered = new Map<string, ContainerRecord>();
  /** Deleted lately, and answered, as far as this process knows. */
  #deleted: ContainerRecord[] = [];
  /** Called whenever there is no container any more. */
  onEmpty: () => void = () => undefined;
  /** The daemon knows of the shim as of a sandbox. */
  #isSandbox = false;
  #ending = false;
  #onSettled: (() => void) | undefined;

  constructor(private readonly shim: ShimContext) {}

  /** Leaves all to another process. @throws CannotRest */
  rest(leaving: Leaving): RestingContainers {
    if (this.#creating.size > 0) leaving.underWay('a container is being created');
    if (this.#unanswered.size > 0) leaving.underWay('a client may ask again what became of its Delete');
    if (this.#containers.size === 0 || this.#ending) leaving.underWay('there is no container');
    const containers = [...this.#containers.values()].map((container) => container.rest(leaving));
    const creating = [...this.#creating.values()].map(({ record }) => record);
    const deleted = [...this.#unanswered.values(), ...this.#deleted];
    return { containers, isSandbox: this.#isSandbox, ...(leaving.isSudden ? { creating, deleted } : {}) };
  }

  /** Of a rehearsal, see {@link Container.letGo}. */
  async letGo(): Promise<void> {
    for (const container of this.#containers.values()) await container.letGo();
  }

  /**
   * Goes on with what another process has left.
   *
   * @param lost what that had been asked for, and had not done when it ended without a word; undefined where it did not
   */
  resume(
    { containers, isSandbox, creating = [], deleted = [] }: RestingContainers,
    found: Found,
    lost?: readonly Lost[],
  ): Promise<unknown> {
    const settling: Promise<void>[] = [];
    this.#isSandbox = isSandbox;
    for (const resting of containers) {
      const { record } = resting;
      this.shim.record.containers[record.id] = record;
      const container = Container.resume(resting, this.shim, found);
      this.#containers.set(record.id, container);
      // Also where nobody waits for an answer any more, or an earlier one has said that it is not known.
      if (lost) settling.push(container.settle(lost.filter(({ id }) => id === record.id)));
    }
    for (const record of deleted) {
      const isAsked = (lost ?? []).some(
        ({ method, id, execId }) => method === 'Delete' && id === record.id && execId === '',
      );
      if (isAsked && !this.#containers.has(record.id)) this.#keepUnanswered(record.id, record);
    }
    for (const record of creating) if (!this.#containers.has(record.id)) settling.push(this.#undo(record));
    return Promise.all(settling);
  }

  /** A create that nobody will answer. Until it is undone its name is taken. */
  async #undo(record: ContainerRecord): Promise<void> {
    const container = new Container(record, this.shim);
    this.#creating.set(record.id, container);
    try {
      await container.undo();
    } catch (error) {
      this.shim.log.error('undoing a create that was broken off failed', { id: record.id, error });
    } finally {
      this.#creating.delete(record.id);
      this.#settled();
    }
  }

  /** Creates a container; it can be found once it is there. */
  async create(record: ContainerRecord): Promise<Container> {
    const { id } = record;
    if (this.#ending) throw unavailable('the shim is shutting down');
    if (this.#containers.has(id) || this.#creating.has(id)) throw alreadyExists(`container ${id}`);
    const container = new Container(record, this.shim);
    this.#creating.set(id, container);
    this.#unanswered.delete(id);
    this.#deleted = this.#deleted.filter((record) => record.id !== id);
    // Whoever comes after a process that ends now is to undo it.
    this.shim.observations.changes.note();
    try {
      await container.create();
      this.#containers.set(id, container);
      this.shim.record.containers[id] = record;
      return container;
    } finally {
      this.#creating.delete(id);
      this.#settled();
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

  /**
   * Deletes a container, and forgets it when that succeeded. A client whose patience ends before, on a host whose disks
   * are slow, asks again: the reply is how its container ended, not that there is none.
   *
   * @param caller aborted when nobody waits for the answer
   */
  async delete(id: string, caller: AbortSignal): Promise<ContainerRecord> {
    const deleted = this.#takeUnanswered(id);
    if (deleted) return this.#noteDeleted(deleted);
    const container = this.get(id);
    try {
      await container.delete();
    } catch (error) {
      // It waited for another's Delete of the same container, whose client has gone.
      const record = isGone(error) ? this.#takeUnanswered(id) : undefined;
      if (record) return this.#noteDeleted(record);
      throw error;
    }
    // A new container of the same name cannot have come meanwhile: the id was taken until here.
    this.#containers.delete(id);
    delete this.shim.record.containers[id];
    this.#noteDeleted(container.record);
    this.#noteIfEmpty();
    if (caller.aborted) this.#keepUnanswered(id, container.record);
    return container.record;
  }

  #noteDeleted(record: ContainerRecord): ContainerRecord {
    this.#deleted = [...this.#deleted.slice(1 - MAX_DELETED), record];
    return record;
  }

  #takeUnanswered(id: string): ContainerRecord | undefined {
    const record = this.#unanswered.get(id);
    this.#unanswered.delete(id);
    return record;
  }

  #keepUnanswered(id: string, record: ContainerRecord): void {
    this.#unanswered.set(id, record);
    const [oldest] = this.#unanswered.keys();
    if (this.#unanswered.size > MAX_UNANSWERED) this.#unanswered.delete(oldest!);
  }

  /**
   * A client asks for the end, on account of one container. A create of that container which is under way is one that the
   * client has given up on, and will not ask about again: it is undone, and the question answered then.
   *
   * @param onEnd called, now or later, when nothing is left
   */
  shutdown(id: string, onEnd: () => void): void {
    const creating = this.#creating.get(id);
    creating?.abandon();
    // containerd 1.7 does not ask on account of containers in a sandbox; 2.4 does, of every container that it deletes.
    if (this.#isSandbox && id !== this.shim.record.id) return;
    if (creating) this.#onSettled = onEnd;
    else if (this.endIfEmpty()) onEnd();
  }

  #noteIfEmpty(): void {
    if (this.#containers.size === 0 && this.#creating.size === 0) this.onEmpty();
  }

  #settled(): void {
    this.#noteIfEmpty();
    const onEnd = this.#onSettled;
    if (!onEnd || !this.endIfEmpty()) return;
    this.#onSettled = undefined;
    onEnd();
  }

  /** True when nothing is left and nothing is being made; from then on nothing can be made any more. */
  endIfEmpty(): boolean {
    if (this.#containers.size > 0 || this.#creating.size > 0) return false;
    this.#ending = true;
    return true;
  }

  /** The same where nobody has asked for the end: a sandbox is there for containers to come. */
  endIfForgotten(): boolean {
    return !this.#isSandbox && this.endIfEmpty();
  }

  /** What the Sandbox service does to it. */
  sandboxOwner(stop: () => void): SandboxOwner {
    return {
      created: () => {
        this.#isSandbox = true;
      },
      shutDown: () => {
        this.#isSandbox = false;
        // A daemon closes its connection now, and asks for nothing more.
        this.#noteIfEmpty();
      },
      stop,
    };
  }

  /** For the state dump: those whose create is under way, and those that are there. */
  describe(): { creating: ContainerSnapshot[]; created: ContainerSnapshot[] } {
    const all = (containers: Map<string, Container>): ContainerSnapshot[] =>
      [...containers.values()].map((container) => container.describe());
    return { creating: all(this.#creating), created: all(this.#containers) };
  }
}

function isGone(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.NotFound;
}
