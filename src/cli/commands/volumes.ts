/** hawser volume: ls, create, inspect, rm, prune. */
import type { Volume } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, Exit, FAILED, SIGNALLED, UsageError } from '../errors.js';
import { explain } from '../explain.js';
import { list, one as shown } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { compile } from '../format/template.js';
import { pairs } from '../options/environment.js';
import { withSession, type Session } from '../session.js';
import { ask } from '../terminal/ask.js';

export interface VolumesFlags {
  readonly quiet?: boolean;
  readonly filter?: string[];
  readonly size?: boolean;
  readonly format?: string;
}

export async function volumesCommand(
  { quiet, filter = [], size = false, format }: VolumesFlags,
  globals: Globals,
): Promise<void> {
  const accepts = filter.map(filterOf);
  const records = await withSession(globals, async ({ client }) => {
    const used = accepts.some(({ about }) => about === 'dangling') ? await client.volumes.users() : new Map();
    const chosen = (await client.volumes.list()).filter((volume) =>
      [...groups(accepts)].every((alternatives) =>
        alternatives.some((accept) => accept(volume, used.has(volume.name))),
      ),
    );
    return Promise.all(
      chosen.map(async (volume) => ({
        Driver: 'local',
        Name: volume.name,
        Scope: 'local',
        Mountpoint: volume.mountpoint,
        Labels: Object.entries(volume.labels)
          .map(([name, value]) => `${name}=${value}`)
          .join(','),
        Size: size ? decimalSize(await client.volumes.size(volume.name)) : 'N/A',
      })),
    );
  });
  const columns = { DRIVER: 'Driver', 'VOLUME NAME': 'Name', ...(size ? { SIZE: 'Size' } : {}) };
  process.stdout.write(list(records, columns, { format, quiet, idKey: 'Name' }));
}

type Accept = ((volume: Volume, used: boolean) => boolean) & { readonly about: string };

/** Filters of one name are alternatives, those of several names all hold, as with docker. */
function groups(accepts: readonly Accept[]): Iterable<Accept[]> {
  const found = new Map<string, Accept[]>();
  for (const accept of accepts) found.set(accept.about, [...(found.get(accept.about) ?? []), accept]);
  return found.values();
}

function filterOf(text: string): Accept {
  const at = text.indexOf('=');
  const [name, value] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  const accept = (test: (volume: Volume, used: boolean) => boolean): Accept =>
    Object.assign(test, { about: name === 'label' ? text : name });
  switch (name) {
    case 'name':
      return accept((volume) => volume.name.includes(value));
    case 'label':
      return accept(hasLabel(value));
    case 'driver':
      return accept(() => value === 'local');
    case 'dangling':
      if (!/^(true|false|0|1)$/i.test(value))
        throw new UsageError(`--filter ${JSON.stringify(text)}: dangling is true or false`, 'volume ls');
      return accept((_, used) => used !== /^(true|1)$/i.test(value));
    default:
      throw new UsageError(
        `--filter ${JSON.stringify(text)}: there are name, label, dangling and driver, as name=data`,
        'volume ls',
      );
  }
}

function hasLabel(text: string): (volume: Volume) => boolean {
  const at = text.indexOf('=');
  const [label, value] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  return ({ labels }) => (value === undefined ? labels[label] !== undefined : labels[label] === value);
}

export async function createVolumeCommand(
  name: string | undefined,
  { driver = 'local', label, opt }: { driver?: string; label?: string[]; opt?: string[] },
  globals: Globals,
): Promise<void> {
  if (driver !== 'local')
    throw new UsageError(
      `--driver ${driver}: there is local alone; other drivers are dockerd's plugins`,
      'volume create',
    );
  if (opt !== undefined)
    throw new UsageError(
      `--opt ${opt[0]!}: volumes have no options here: mount another file system by its own type, as run --mount type=nfs,src=HOST:/path,dst=/data`,
      'volume create',
    );
  const labels = pairs(label, '--label');
  const made = await withSession(globals, ({ client }) => client.volumes.create({ name, labels }));
  process.stdout.write(`${made.name}\n`);
}

export async function inspectVolumesCommand(
  names: readonly string[],
  { format, size = false }: { format?: string; size?: boolean },
  globals: Globals,
): Promise<void> {
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async (session) => {
    const found: unknown[] = [];
    const failed = await each(session, names, async (name) => {
      found.push(await describeVolume(session, await session.client.volumes.get(name), size));
    });
    if (render) for (const volume of found) process.stdout.write(`${render(volume)}\n`);
    else process.stdout.write(shown(found, format));
    if (failed) throw new Exit(1);
  });
}

export async function describeVolume({ client }: Session, volume: Volume, size: boolean): Promise<unknown> {
  const { name, mountpoint, labels, createdAt } = volume;
  return {
    CreatedAt: createdAt.toISOString(),
    Driver: 'local',
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: mountpoint,
    Name: name,
    Options: null,
    Scope: 'local',
    ...(size ? { Size: await client.volumes.size(name) } : {}),
  };
}

export async function removeVolumesCommand(
  names: readonly string[],
  { force = false }: { force?: boolean },
  globals: Globals,
): Promise<void> {
  await withSession(globals, async (session) => {
    const remove = async (name: string): Promise<void> => {
      await session.client.volumes.remove(name);
      process.stdout.write(`${name}\n`);
    };
    if (await each(session, names, remove, force)) throw new Exit(1);
  });
}

/** @returns whether one has failed, of which the user has been told */
async function each(
  session: Session,
  names: readonly string[],
  work: (name: string) => Promise<void>,
  force = false,
): Promise<boolean> {
  const { NotFoundError, FailedPreconditionError } = await import('../../client/index.js');
  let failed = false;
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      const missing = error instanceof NotFoundError;
      if (missing && force) continue;
      const users =
        error instanceof FailedPreconditionError ? (await session.client.volumes.users()).get(name) : undefined;
      const text = missing
        ? `volume ${name} is not there: \`hawser volume ls\` lists what is`
        : users === undefined
          ? explain(error).text
          : `volume ${name} is in use by container ${users.join(', ')}: remove ${users.length === 1 ? 'that' : 'those'} first, as with \`hawser rm ${users.join(' ')}\``;
      process.stderr.write(`hawser: ${text}\n`);
      failed = true;
    }
  }
  return failed;
}

export async function pruneVolumesCommand(
  { all = false, force = false, filter = [] }: { all?: boolean; force?: boolean; filter?: string[] },
  globals: Globals,
): Promise<void> {
  const wheres = filter.map(pruneFilter);
  if (!force) {
    if (!process.stdin.isTTY)
      throw new CliError('volume prune: standard input is no terminal to ask at: say -f when it is meant', FAILED);
    const what = all ? 'all volumes' : 'anonymous volumes';
    const answer = await ask(`This removes ${what} that no container has, with all that is in them. Go on? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
  }
  const { volumes, bytes } = await withSession(globals, ({ client }) =>
    client.volumes.prune({ all, where: (volume) => wheres.every((where) => where(volume)) }),
  );
  if (volumes.length > 0) process.stdout.write(`Deleted Volumes:\n${volumes.join('\n')}\n\n`);
  process.stdout.write(`Total reclaimed space: ${decimalSize(bytes)}\n`);
}

function pruneFilter(text: string): (volume: Volume) => boolean {
  const [, name, value = ''] = /^([a-z]+!?)=(.*)$/s.exec(text) ?? [];
  if (name === 'label') return hasLabel(value);
  if (name === 'label!') {
    const has = hasLabel(value);
    return (volume) => !has(volume);
  }
  throw new UsageError(
    `--filter ${JSON.stringify(text)}: there are label=NAME[=VALUE] and label!=NAME[=VALUE]`,
    'volume prune',
  );
}
