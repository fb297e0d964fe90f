/** hawser images: ls, import, rm. */
import { existsSync } from 'node:fs';
import type { Image } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, Exit } from '../errors.js';
import { explain } from '../explain.js';
import { list } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { inWords } from '../format/time.js';
import { imageSize } from '../image-size.js';
import { normalize } from '../../oci/image-name.js';
import { ProgressLine } from '../output/progress.js';
import { withSession } from '../session.js';

export interface ImagesFlags {
  readonly quiet?: boolean;
  readonly trunc?: boolean;
  readonly digests?: boolean;
  readonly filter?: string[];
  readonly format?: string;
}

export async function imagesCommand(
  { quiet, trunc = true, digests = false, filter, format }: ImagesFlags,
  globals: Globals,
): Promise<void> {
  const images = await withSession(globals, async ({ client }) =>
    Promise.all(
      (await client.images.list(filter)).map(async (image) => ({ image, size: await imageSize(client, image) })),
    ),
  );
  const records = images
    .map(({ image, size }) => describeImageRow(image, size, trunc))
    .sort((a, b) => b.CreatedAt.localeCompare(a.CreatedAt));
  process.stdout.write(
    list(
      records,
      {
        REPOSITORY: 'Repository',
        TAG: 'Tag',
        ...(digests ? { DIGEST: 'Digest' } : {}),
        'IMAGE ID': 'ID',
        CREATED: 'CreatedSince',
        SIZE: 'Size',
      },
      { format, quiet, idKey: 'ID' },
    ),
  );
}

/** As docker lists it. */
export function describeImageRow({ name, target, createdAt }: Image, size: number, cut: boolean) {
  const [, repository = name, tag = '<none>'] = /^(.*?)(?::([^/:@]+))?(?:@.*)?$/.exec(name) ?? [];
  const digest = target.digest.replace(/^sha256:/, '');
  return {
    Repository: repository.replace(/^docker\.io\/(library\/)?/, ''),
    Tag: tag,
    Name: name,
    ID: cut ? digest.slice(0, 12) : target.digest,
    Digest: target.digest,
    CreatedAt: createdAt.toISOString(),
    CreatedSince: `${inWords(Date.now() - createdAt.getTime())} ago`,
    Size: decimalSize(size),
    MediaType: target.mediaType,
  };
}

export interface ImportFlags {
  readonly name?: string;
  readonly unpack?: boolean;
  readonly snapshotter?: string;
  readonly quiet?: boolean;
}

export async function importCommand(
  archive: string,
  { name, unpack, snapshotter, quiet = false }: ImportFlags,
  globals: Globals,
): Promise<void> {
  if (archive !== '-' && !existsSync(archive))
    throw new CliError(
      `images import: there is no file ${archive}; give an archive that \`docker save\` has written, or - for standard input`,
    );
  if (archive === '-' && process.stdin.isTTY)
    throw new CliError(
      'images import -: standard input is a terminal: pipe an archive into it, as `docker save busybox | hawser images import -`',
    );
  const line = new ProgressLine(!quiet);
  try {
    const images = await withSession(globals, ({ client }) =>
      client.images.import(archive === '-' ? process.stdin : archive, {
        name,
        unpack,
        snapshotter,
        onProgress: ({ step, what, at, total }) => {
          const short = what
            .replace(/^sha256:([0-9a-f]{12}).*$/, '$1')
            .replace(/^blobs\/sha256\/([0-9a-f]{12}).*$/, '$1');
          if (step === 'done') return;
          line.show(step === 'read' ? 'reading' : 'unpacking', short, at, total);
        },
      }),
    );
    line.end();
    for (const image of images) process.stdout.write(`${image.name}\n`);
  } catch (error) {
    line.end();
    if (error instanceof Error && !(error instanceof CliError))
      throw new CliError(`${archive === '-' ? 'standard input' : archive} cannot be taken in: ${error.message}`, 1, {
        cause: error,
      });
    throw error;
  }
}

export async function removeImagesCommand(
  names: readonly string[],
  { force = false }: { force?: boolean },
  globals: Globals,
): Promise<void> {
  await withSession(globals, async ({ client }) => {
    const { NotFoundError } = await import('../../client/index.js');
    let failed = 0;
    for (const name of names) {
      try {
        const image = await client.images.get(name);
        // By its digest it is meant with all its names, as docker has it.
        const byDigest = normalize(name) !== image.name && name !== image.name;
        const names = byDigest
          ? (await client.images.list())
              .filter(({ target }) => target.digest === image.target.digest)
              .map((one) => one.name)
          : [image.name];
        if (names.length > 1 && !force)
          throw new CliError(`it has the names ${names.join(', ')}: remove one of them, or all of them with -f`);
        for (const one of names) await client.images.delete(one);
        process.stdout.write(`${name}\n`);
      } catch (error) {
        if (error instanceof NotFoundError && force) continue;
        process.stderr.write(
          `hawser: ${error instanceof NotFoundError ? `image ${name} is not there: \`hawser images\` lists what is` : `image ${name} cannot be removed: ${explain(error).text}`}\n`,
        );
        failed = 1;
      }
    }
    if (failed) throw new Exit(failed);
  });
}
