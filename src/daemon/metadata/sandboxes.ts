import { containerd, errdefs } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table, type Database } from '../db/database.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import type { Namespaces } from './namespaces.js';
import type { Sandbox, SandboxStore } from './types.js';
import { checkLabels, checkName, within } from '../db/validate.js';

/** What an update without paths replaces. */
const MUTABLE = ['labels', 'extensions', 'spec', 'runtime'];

/** Sandboxes: what is known of them. Nothing is told of a record's changes: the topics of sandboxes are those of what runs. */
export class Sandboxes implements SandboxStore {
  readonly #table: Table<Sandbox>;

  constructor(
    readonly db: Database,
    readonly namespaces: Namespaces,
    readonly changed: () => void,
  ) {
    this.#table = new Table(db, 'sandbox', containerd.types.Sandbox);
  }

  get(namespace: string, id: string): Sandbox {
    const found = this.#table.get(namespace, id);
    if (found === undefined) throw missing(namespace, id);
    return found;
  }

  list(namespace: string, filters: readonly string[]): Sandbox[] {
    const matches = compileFilters(filters);
    return this.#table.list(namespace).filter((sandbox) => matches(adapt(sandbox)));
  }

  async create(namespace: string, sandbox: Sandbox): Promise<Sandbox> {
    checkName('', namespace);
    within('failed to validate sandbox', () => checkSandbox(sandbox));
    const id = sandbox.sandboxId!;
    const now = realtime();
    const made: Sandbox = {
      ...sandbox,
      runtime: sandbox.runtime ?? {},
      labels: kept(sandbox.labels),
      createdAt: now,
      updatedAt: now,
    };
    await this.db.write(() => {
      if (this.#table.has(namespace, id))
        throw errdefs.alreadyExists(`sandbox ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
      this.#table.put([namespace, id], made);
      this.namespaces.ensure(namespace);
    });
    return made;
  }

  async update(namespace: string, sandbox: Sandbox, paths: readonly string[]): Promise<Sandbox> {
    const id = sandbox.sandboxId ?? '';
    const updated = await this.db.write(() => {
      const old = this.get(namespace, id);
      if (paths.length === 0 && (old.runtime?.name ?? '') !== (sandbox.runtime?.name ?? ''))
        throw errdefs.invalidArgument('sandbox.Runtime.Name field is immutable');
      const result: Sandbox = { ...old };
      applyMask(
        paths.length === 0 ? MUTABLE : paths,
        `sandbox ${JSON.stringify(id)}`,
        {
          labels: (key) => (result.labels = replaceEntries(result.labels, sandbox.labels, key)),
          extensions: (key) => (result.extensions = replaceEntries(result.extensions, sandbox.extensions, key)),
          spec: () => (result.spec = sandbox.spec ?? null),
          runtime: () => (result.runtime = sandbox.runtime ?? {}),
        },
        ['labels', 'extensions'],
      );
      within('failed to validate sandbox', () => checkSandbox(result));
      result.labels = kept(result.labels);
      result.updatedAt = realtime();
      this.#table.put([namespace, id], result);
      return result;
    });
    // Its labels may have kept what nothing refers to now.
    this.changed();
    return updated;
  }

  async delete(namespace: string, id: string): Promise<void> {
    await this.db.write(() => {
      if (!this.#table.has(namespace, id)) throw missing(namespace, id);
      this.#table.remove(namespace, id);
    });
    this.changed();
  }
}

function missing(namespace: string, id: string): Error {
  return errdefs.notFound(`sandbox ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
}

function checkSandbox(sandbox: Sandbox): void {
  checkName('invalid sandbox ID', sandbox.sandboxId ?? '');
  checkLabels('sandbox.Labels', sandbox.labels);
}

function adapt(sandbox: Sandbox): Adapter {
  return ([name = '', ...rest]) => {
    switch (name) {
      case 'id':
        return field(sandbox.sandboxId);
      case 'labels':
        return entry(sandbox.labels, rest);
      default:
        return undefined;
    }
  };
}
