/** What an author's shim keeps of its containers over a sleep. */
import type { Logger } from '../observe/log.js';
import { CannotRest } from '../worker/leaving.js';
import type { Json, Keeping } from './types.js';

/** What an author says of it. */
type Sleeps<Container> = true | Keeping<Container, Json> | undefined;

export class Keeper<Container> {
  /** Why the shim never sleeps; undefined where it may. */
  readonly staysAwake: string | undefined;

  constructor(
    private readonly sleeps: Sleeps<Container>,
    private readonly name: string,
    private readonly log: Pick<Logger, 'error'>,
  ) {
    if (sleeps === undefined) this.staysAwake = `${name} does not say that it sleeps`;
  }

  /**
   * @param container made when there is something to be asked of it
   * @throws CannotRest with what the author's function has thrown
   */
  record(id: string, container: () => Container): Json {
    if (typeof this.sleeps !== 'object') return null;
    try {
      const kept = this.sleeps.record(container());
      // What JSON cannot hold is its author's mistake, and to be told as one.
      JSON.stringify(kept);
      return kept ?? null;
    } catch (error) {
      throw new CannotRest(`${this.name}: record of ${id} failed: ${textOf(error)}`);
    }
  }

  /** A container that its author does not know any more is still one that ends, and is told of. */
  restore(id: string, container: () => Container, kept: Json): void {
    if (typeof this.sleeps !== 'object') return;
    try {
      this.sleeps.restore(container(), kept);
    } catch (error) {
      this.log.error('restore failed', { id, error: textOf(error), stack: (error as Error | undefined)?.stack });
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
