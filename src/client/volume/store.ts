/** Where volumes are: a directory for each daemon, namespace and name, as nerdctl has them. Here is what only looks. */
import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkIdentifier } from '../../api/identifier.js';
import { sha256 } from '../../text/sha256.js';
import { Code, TtrpcError } from '../../ttrpc/status.js';
import { errorOf, NotFoundError } from '../errors.js';
import type { Volume } from './types.js';

/** nerdctl's, which is how either finds the other's. */
export const DEFAULT_DATA_ROOT = '/var/lib/nerdctl';
/** On volumes that were made without a name; nerdctl's, whose prune goes by it, and docker's. */
export const ANONYMOUS = 'nerdctl/anonymous-volumes';
const ANONYMOUS_LABELS = [ANONYMOUS, 'com.docker.volume.anonymous'];
export const DATA = '_data';
export const DESCRIPTION = 'volume.json';

export class VolumeStore {
  constructor(
    private readonly dataRoot: string,
    private readonly address: string,
    private readonly namespace: string,
  ) {}

  /** The directory that has one for each volume. nerdctl takes whatever is in it for a volume. */
  get directory(): string {
    return join(this.#all(), this.namespace);
  }

  /** Where things are that are no volumes yet, or no more; on the same file system. Whoever has the lock may remove all of it. */
  get staging(): string {
    return join(this.#all(), `.hawser-${this.namespace}`);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  data(name: string): string {
    return join(this.directory, name, DATA);
  }

  /** @throws InvalidArgumentError for what cannot be the name of one */
  check(name: string): void {
    try {
      checkIdentifier('volume', name);
    } catch (error) {
      const { code, message } = TtrpcError.from(error);
      throw errorOf(code, message, error);
    }
  }

  /** @throws NotFoundError */
  get(name: string): Volume {
    this.check(name);
    const found = this.find(name);
    if (found === undefined) throw new NotFoundError(Code.NotFound, `volume ${name}: not found`);
    return found;
  }

  /** Undefined when there is none of that name. */
  find(name: string): Volume | undefined {
    const mountpoint = this.data(name);
    const stat = unlessMissing(() => lstatSync(mountpoint));
    if (stat?.isDirectory() !== true) return undefined;
    const description = join(this.path(name), DESCRIPTION);
    const labels = labelsOf(unlessMissing(() => readFileSync(description, 'utf8')));
    const made = unlessMissing(() => statSync(description).mtime) ?? stat.birthtime;
    return {
      name,
      mountpoint,
      labels,
      anonymous: ANONYMOUS_LABELS.some((label) => label in labels),
      createdAt: made,
    };
  }

  list(): Volume[] {
    return (unlessMissing(() => readdirSync(this.directory)) ?? []).sort().flatMap((name) => this.find(name) ?? []);
  }

  /** The volume that a directory of the host is, or lies in. */
  nameOf(source: string): string | undefined {
    for (const above of new Set([this.directory, real(this.directory)])) {
      if (!source.startsWith(`${above}/`)) continue;
      const [name = '', data] = source.slice(above.length + 1).split('/');
      if (data === DATA) return name;
    }
    return undefined;
  }

  #all(): string {
    try {
      checkIdentifier('namespace', this.namespace);
    } catch (error) {
      const { code, message } = TtrpcError.from(error);
      throw errorOf(code, message, error);
    }
    const daemon = sha256(real(this.address)).slice(0, 8);
    return join(this.dataRoot, daemon, 'volumes');
  }
}

function real(path: string): string {
  return unlessMissing(() => realpathSync(path)) ?? path;
}

/** What is no such file has no labels, as nerdctl reads it. */
function labelsOf(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  try {
    const { labels } = JSON.parse(text) as { labels?: Record<string, unknown> | null };
    return Object.fromEntries(Object.entries(labels ?? {}).map(([name, value]) => [name, String(value)]));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return {};
    throw error;
  }
}

/** Undefined for what is not there. */
export function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
