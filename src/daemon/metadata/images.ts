import { containerd, errdefs, type google } from '../../api/full.js';
import { realtime } from '../../sys/index.js';
import { compileFilters, entry, field, type Adapter } from '../filter/index.js';
import { Table, type Database } from '../db/database.js';
import { applyMask, kept, replaceEntries } from '../db/mask.js';
import type { Namespaces } from './namespaces.js';
import type { Publish } from '../events/publisher.js';
import type { Image, ImageStore } from './types.js';
import { checkLabels, checkName, checkTarget } from '../db/validate.js';

type Timestamp = google.protobuf.Timestamp.$Properties;

/** Names of content. */
export class Images implements ImageStore {
  readonly #table: Table<Image>;

  constructor(
    readonly db: Database,
    readonly namespaces: Namespaces,
    readonly publish: Publish,
    readonly changed: () => void,
  ) {
    this.#table = new Table(db, 'image', containerd.services.images.v1.Image);
  }

  get(namespace: string, name: string): Image {
    const found = this.#table.get(namespace, name);
    if (found === undefined) throw notFound(name);
    return found;
  }

  list(namespace: string, filters: readonly string[]): Image[] {
    const matches = compileFilters(filters);
    return this.#table.list(namespace).filter((image) => matches(adapt(image)));
  }

  /** `epoch` stands for the present, for images that come out the same each time they are made. */
  async create(namespace: string, image: Image, epoch?: Timestamp | null): Promise<Image> {
    checkName('', namespace);
    checkImage(image);
    const name = image.name!;
    const now = epoch ?? realtime();
    const made: Image = { ...image, labels: kept(image.labels), createdAt: now, updatedAt: now };
    await this.db.write(() => {
      if (this.#table.has(namespace, name)) throw errdefs.alreadyExists(`image ${JSON.stringify(name)}`);
      this.#table.put([namespace, name], made);
      this.namespaces.ensure(namespace);
    });
    this.publish(namespace, '/images/create', 'ImageCreate', { name, labels: made.labels ?? {} });
    return made;
  }

  async update(namespace: string, image: Image, paths: readonly string[], epoch?: Timestamp | null): Promise<Image> {
    const name = image.name ?? '';
    if (name === '') throw errdefs.invalidArgument('image name is required for update');
    const updated = await this.db.write(() => {
      const old = this.#table.get(namespace, name);
      if (old === undefined) throw notFound(name);
      const result: Image = { ...old };
      applyMask(
        paths.length === 0 ? ['labels', 'target'] : paths,
        `image ${JSON.stringify(name)}`,
        {
          labels: (key) => (result.labels = replaceEntries(result.labels, image.labels, key)),
          annotations: (key) => {
            result.target = {
              ...result.target,
              annotations: replaceEntries(result.target?.annotations, image.target?.annotations, key),
            };
          },
          target: () => (result.target = image.target ?? null),
        },
        ['labels', 'annotations'],
      );
      checkImage(result);
      result.labels = kept(result.labels);
      result.updatedAt = epoch ?? realtime();
      this.#table.put([namespace, name], result);
      return result;
    });
    // The old target may be what nobody names now.
    this.changed();
    this.publish(namespace, '/images/update', 'ImageUpdate', { name, labels: updated.labels ?? {} });
    return updated;
  }

  async delete(namespace: string, name: string, target?: Image['target']): Promise<void> {
    await this.db.write(() => {
      const old = this.#table.get(namespace, name);
      if (old === undefined) throw notFound(name);
      if (target?.digest && target.digest !== old.target?.digest) {
        throw errdefs.notFound(
          `image ${JSON.stringify(name)} has a target ${old.target?.digest ?? ''}, not ${target.digest}`,
        );
      }
      this.#table.remove(namespace, name);
    });
    this.changed();
    this.publish(namespace, '/images/delete', 'ImageDelete', { name });
  }
}

function notFound(name: string): Error {
  return errdefs.notFound(`image ${JSON.stringify(name)}`);
}

function checkImage(image: Image): void {
  if (!image.name) throw errdefs.invalidArgument('image name must not be empty');
  checkLabels('image.Labels', image.labels);
  checkTarget(image.target);
}

function adapt(image: Image): Adapter {
  return ([name = '', ...rest]) => {
    switch (name) {
      case 'name':
        return field(image.name);
      case 'target':
        return rest[0] === 'digest'
          ? field(image.target?.digest)
          : rest[0] === 'mediatype'
            ? field(image.target?.mediaType)
            : undefined;
      case 'labels':
        return entry(image.labels, rest);
      case 'annotations':
        return entry(image.target?.annotations, rest);
      default:
        return undefined;
    }
  };
}
