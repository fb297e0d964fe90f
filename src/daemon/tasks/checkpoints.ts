/**
 * Named checkpoints of containers, in `<root>/io.containerd.runtime.v2.task/.checkpoints/NAMESPACE/CONTAINER/NAME`. They outlive the
 * task, as one that was checkpointed with `exit` is to be restored later, and go with the container's record.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errdefs } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { removeTree } from './mounts.js';

export interface Checkpoint {
  readonly name: string;
  /** criu's images. */
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export class CheckpointStore {
  /** @param dir holds nothing but the checkpoints, by namespace and container */
  constructor(private readonly dir: string) {}

  /** Throws NotFound. */
  get(namespace: string, id: string, name: string): Checkpoint {
    const path = this.#path(namespace, id, name);
    if (!existsSync(path)) throw errdefs.notFound(`checkpoint ${name} of container ${id}`);
    return { name, path, createdAt: statSync(path).mtimeMs };
  }

  /** The oldest first. */
  list(namespace: string, id: string): Checkpoint[] {
    const dir = join(this.dir, namespace, id);
    if (!existsSync(dir)) return [];
    return readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .map((name) => this.get(namespace, id, name))
      .sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
  }

  /**
   * Has a directory filled, which becomes the checkpoint when that is done. AlreadyExists for a name that is taken, by then too: of two at
   * once the first to be done has it.
   */
  async add(namespace: string, id: string, name: string, fill: (dir: string) => Promise<void>): Promise<Checkpoint> {
    const path = this.#path(namespace, id, name);
    const taken = (cause?: unknown): Error => errdefs.alreadyExists(`checkpoint ${name} of container ${id}`, cause);
    if (existsSync(path)) throw taken();
    const partial = join(this.dir, namespace, id, `.${randomUUID()}`);
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    try {
      await fill(partial);
      // A directory takes an empty one's place without a word.
      if (existsSync(path)) throw taken();
      renameSync(partial, path);
    } catch (error) {
      await removeTree(partial);
      throw error;
    }
    return this.get(namespace, id, name);
  }

  /** Throws NotFound. Nobody sees half of it: it has another name from the first step on. */
  async delete(namespace: string, id: string, name: string): Promise<void> {
    const { path } = this.get(namespace, id, name);
    const hidden = join(this.dir, namespace, id, `.${randomUUID()}`);
    renameSync(path, hidden);
    await removeTree(hidden);
  }

  /** Those of a container that is no more, at once: what is added when this has returned belongs to another container of that name. */
  async deleteAll(namespace: string, id: string): Promise<void> {
    const dir = join(this.dir, namespace, id);
    if (!existsSync(dir)) return;
    const hidden = join(this.dir, namespace, `.${randomUUID()}`);
    renameSync(dir, hidden);
    await removeTree(hidden);
  }

  /** Removes those of containers that are no more, and what an earlier daemon has not come to fill or to remove. */
  async prune(exists: (namespace: string, id: string) => boolean): Promise<void> {
    if (!existsSync(this.dir)) return;
    for (const namespace of readdirSync(this.dir)) {
      for (const id of readdirSync(join(this.dir, namespace))) {
        const dir = join(this.dir, namespace, id);
        if (id.startsWith('.') || !exists(namespace, id)) await removeTree(dir);
        else for (const name of readdirSync(dir)) if (name.startsWith('.')) await removeTree(join(dir, name));
      }
    }
  }

  #path(namespace: string, id: string, name: string): string {
    checkIdentifier('namespace', namespace);
    checkIdentifier('container id', id);
    checkIdentifier('checkpoint name', name);
    return join(this.dir, namespace, id, name);
  }
}
