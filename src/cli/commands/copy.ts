/** hawser cp: files into and out of containers. */
import type { Copied } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, UsageError } from '../errors.js';
import { decimalSize } from '../format/size.js';
import { refuseTerminal, writeArchive } from '../output/archive.js';
import { withSession, type Session } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export interface CopyFlags {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly quiet?: boolean;
}

/** One side of a copy: a file of a container's, or of this machine. */
interface Place {
  readonly container: string | undefined;
  readonly path: string;
}

export async function copyCommand(from: string, to: string, flags: CopyFlags, globals: Globals): Promise<void> {
  const [source, target] = [placeOf(from), placeOf(to)];
  if (source.container === undefined && target.container === undefined)
    throw new UsageError(`cp: neither ${from} nor ${to} is of a container: say CONTAINER:PATH for one of them`, 'cp');
  if (source.container !== undefined && target.container !== undefined)
    throw new UsageError(
      `cp: ${from} and ${to} are both of containers: copy by way of this machine, or pipe \`cp ${from} -\` into \`cp - ${to}\``,
      'cp',
    );
  await withSession(globals, (session) =>
    interruptible(async (signal) => {
      const copied = await (source.container === undefined
        ? into(session, source.path, target, flags, signal)
        : outOf(session, source, target.path, flags, signal));
      if (copied !== undefined && flags.quiet !== true)
        process.stderr.write(`Successfully copied ${decimalSize(copied.bytes)} to ${to}\n`);
    }),
  );
}

/** As docker takes it: what begins with a slash or a dot is a file here, whatever colons it has. */
function placeOf(text: string): Place {
  const [, container = '', path = ''] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  if (container === '' || text.startsWith('/') || text.startsWith('.')) return { container: undefined, path: text };
  return { container, path: path === '' ? '/' : path };
}

async function into(
  session: Session,
  path: string,
  target: Place,
  { archive = false, followLink = false }: CopyFlags,
  signal: AbortSignal,
): Promise<Copied | undefined> {
  if (path === '-' && process.stdin.isTTY)
    throw new CliError('cp -: standard input is a terminal: pipe a tar archive into it, or name a file');
  const container = await session.find(target.container!);
  const options = { ownedByUser: archive, signal };
  if (path !== '-') return container.copyTo(path, target.path, { ...options, followLink });
  await container.writeArchive(target.path, process.stdin, options);
  return undefined;
}

async function outOf(
  session: Session,
  source: Place,
  path: string,
  { followLink = false }: CopyFlags,
  signal: AbortSignal,
): Promise<Copied | undefined> {
  if (path === '-') refuseTerminal('cp', undefined, 'name a file');
  const container = await session.find(source.container!);
  if (path !== '-') return container.copyFrom(source.path, path, { followLink, signal });
  await writeArchive(undefined, container.readArchive(source.path, { followLink, signal }));
  return undefined;
}
