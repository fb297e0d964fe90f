/** hawser tag, history, save, load and images prune. */
import { createWriteStream, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Globals } from '../address.js';
import { CliError, Exit, SIGNALLED } from '../errors.js';
import { list } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { shorten } from '../format/table.js';
import { inWords } from '../format/time.js';
import { withSession, type Session } from '../session.js';
import { ask } from '../terminal/ask.js';
import { interruptible } from '../terminal/interrupt.js';
import { copyOut } from '../terminal/write.js';
import { importCommand } from './images.js';

/** @throws CliError that names the image when it is not there */
async function known<T>(name: string, work: () => Promise<T>): Promise<T> {
  const { NotFoundError } = await import('../../client/index.js');
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new CliError(`image ${name} is not there: \`hawser images\` lists what is`, 1, { cause: error });
  }
}

export async function tagCommand(source: string, name: string, globals: Globals): Promise<void> {
  await withSession(globals, ({ client }) => known(source, () => client.images.tag(source, name)));
}

const COLUMN = 45;

export async function historyCommand(
  name: string,
  { quiet, trunc = true, human = true, format }: { quiet?: boolean; trunc?: boolean; human?: boolean; format?: string },
  globals: Globals,
): Promise<void> {
  const entries = await withSession(globals, ({ client }) => known(name, () => client.images.history(name)));
  const records = entries.map(({ created, createdBy, comment, layer, size }) => ({
    ID: layer === undefined ? '<missing>' : trunc ? layer.replace(/^sha256:/, '').slice(0, 12) : layer,
    CreatedAt: created?.toISOString() ?? '',
    CreatedSince:
      created === undefined ? 'N/A' : human ? `${inWords(Date.now() - created.getTime())} ago` : created.toISOString(),
    CreatedBy: trunc ? shorten(createdBy, COLUMN) : createdBy,
    Size: human ? decimalSize(size) : String(size),
    Comment: comment,
  }));
  const columns = { LAYER: 'ID', CREATED: 'CreatedSince', 'CREATED BY': 'CreatedBy', SIZE: 'Size', COMMENT: 'Comment' };
  process.stdout.write(list(records, columns, { format, quiet, idKey: 'ID' }));
}

export async function saveCommand(
  names: readonly string[],
  { output, platform }: { output?: string; platform?: string },
  globals: Globals,
): Promise<void> {
  if (output === undefined && process.stdout.isTTY)
    throw new CliError('save: standard output is a terminal: name a file with -o, or send it on to another command');
  await withSession(globals, (session) =>
    interruptible(async (signal) => {
      for (const name of names) await known(name, () => session.client.images.get(name, { signal }));
      const bytes = session.client.images.save(names, { platform, signal });
      if (output === undefined) await copyOut(bytes, process.stdout);
      else await toFile(output, bytes);
    }),
  );
}

/** Half an archive is none. */
async function toFile(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), createWriteStream(path));
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

export async function loadCommand(
  { input = '-', ...flags }: { input?: string; quiet?: boolean },
  globals: Globals,
): Promise<void> {
  await importCommand(input, flags, globals);
}

export async function pruneImagesCommand(
  { all = false, force = false }: { all?: boolean; force?: boolean },
  globals: Globals,
): Promise<void> {
  if (!force) {
    if (!process.stdin.isTTY)
      throw new CliError('images prune: standard input is no terminal to ask at: say -f when it is meant');
    const what = all
      ? 'all images that no container was made from'
      : 'images without a tag that no container was made from';
    const answer = await ask(`This removes ${what}, and what broken-off pulls have left. Go on? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
  }
  const { images, bytes } = await withSession(globals, ({ client }: Session) => client.images.prune({ all }));
  for (const name of images) process.stdout.write(`${name}\n`);
  process.stdout.write(`Total reclaimed space: ${decimalSize(bytes)}\n`);
}
