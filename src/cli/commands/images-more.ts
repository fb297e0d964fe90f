/** hawser tag, history, save, load and images prune. */
import type { Globals } from '../address.js';
import { CliError, Exit, SIGNALLED } from '../errors.js';
import { list } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { shorten } from '../format/table.js';
import { inWords } from '../format/time.js';
import { refuseTerminal, writeArchive } from '../output/archive.js';
import { accepting } from '../options/prune-filter.js';
import { withSession } from '../session.js';
import { ask } from '../terminal/ask.js';
import { interruptible } from '../terminal/interrupt.js';
import { importCommand } from './images.js';
import { imageFilter } from './prune.js';

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
  refuseTerminal('save', output);
  await withSession(globals, (session) =>
    interruptible(async (signal) => {
      for (const name of names) await known(name, () => session.client.images.get(name, { signal }));
      await writeArchive(output, session.client.images.save(names, { platform, signal }));
    }),
  );
}

export async function loadCommand(
  { input = '-', ...flags }: { input?: string; quiet?: boolean },
  globals: Globals,
): Promise<void> {
  await importCommand(input, flags, globals);
}

export async function pruneImagesCommand(
  { all = false, force = false, filter }: { all?: boolean; force?: boolean; filter?: string[] },
  globals: Globals,
): Promise<void> {
  accepting(filter);
  if (!force) {
    if (!process.stdin.isTTY)
      throw new CliError('images prune: standard input is no terminal to ask at: say -f when it is meant');
    const what = all
      ? 'all images that no container was made from'
      : 'images without a tag that no container was made from';
    const answer = await ask(`This removes ${what}, and what broken-off pulls have left. Go on? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
  }
  const { images, bytes } = await withSession(globals, (session) =>
    session.client.images.prune({ all, filter: imageFilter(session, filter) }),
  );
  for (const name of images) process.stdout.write(`${name}\n`);
  process.stdout.write(`Total reclaimed space: ${decimalSize(bytes)}\n`);
}
