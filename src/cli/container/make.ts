/** Makes a container as the flags say, and what the command line keeps with it. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, CreateOptions, VolumesFrom } from '../../client/index.js';
import { NAME } from '../../client/nerdctl.js';
import { pull, type PullFlags } from '../image/pull.js';
import { FAILED, CliError, UsageError } from '../errors.js';
import { LABEL, PREFIX } from '../labels.js';
import { labelLines, pairs } from '../options/environment.js';
import { checkName, createOptions } from '../options/container.js';
import { logTarget } from '../options/log.js';
import { restartLabels } from '../options/restart.js';
import type { RunFlags } from '../program/run-flags.js';
import { shortId, type Session } from '../session.js';
import { containerDirectory, makeContainerDirectory } from '../store.js';
import { remove } from './end.js';

export interface Making {
  /** Its output goes to a log by the shim; without it, to whoever has started it. */
  readonly logged: boolean;
  /** Whoever starts it keeps a log, too. */
  readonly kept?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws CliError with docker's exit status; nothing is left of it then */
export async function makeContainer(
  session: Session,
  words: readonly string[],
  flags: RunFlags,
  { logged, kept = false, signal }: Making,
): Promise<Container> {
  const id = flags.name === undefined ? randomBytes(32).toString('hex') : checkName(flags.name);
  const policy = pullPolicy(flags.pull);
  if (flags.rm && flags.restart !== undefined && flags.restart !== 'no')
    throw new UsageError(
      '--rm and --restart: a container that is removed cannot be started again: leave out one of them',
    );
  const options = createOptions(id, words, await withContainer(session, flags));
  const userLabels = { ...pairs(labelLines(flags.labelFile), '--label-file'), ...pairs(flags.label, '--label') };
  const reserved = Object.keys(userLabels).find((name) => name.startsWith(PREFIX));
  if (reserved !== undefined)
    throw new UsageError(`--label ${reserved}: labels that begin with ${PREFIX} are Hawser's own`);
  const directory = containerDirectory(session.address, session.namespace, id);
  const log = logged || kept ? logTarget(flags.logDriver, flags.logOpt, join(directory, 'log')) : undefined;
  const cidfile = flags.cidfile === undefined ? undefined : reserve(flags.cidfile);
  try {
    if (flags.name !== undefined) await checkFree(session, id);
    const { image } = options;
    const fetch = (): Promise<unknown> => pull(session, image!, fetchFlags(flags), { signal, exitCode: FAILED });
    if (image !== undefined && policy === 'always') await fetch();
    const container = await create(session, policy === 'missing' && image !== undefined ? fetch : undefined, {
      ...options,
      volumesFrom: await volumesFrom(session, flags.volumesFrom),
      pidOf: await pidOf(session, flags.pid),
      signal,
      stopSignal: flags.stopSignal || undefined,
      labels: {
        ...userLabels,
        ...(log ? { [LABEL.log]: log.uri } : {}),
        ...(logged && flags.interactive ? { [LABEL.stdin]: join(directory, 'stdin') } : {}),
        ...restartLabels(flags.restart, logged ? log?.uri : undefined),
        ...(flags.stopTimeout === undefined ? {} : { [LABEL.stopTimeout]: String(flags.stopTimeout) }),
        ...(flags.rm ? { [LABEL.autoRemove]: 'true' } : {}),
        ...(options.rootfs ? { [LABEL.rootfs]: options.rootfs } : {}),
      },
    });
    try {
      // Not before: one of that name may be there, and the directory its own.
      makeContainerDirectory(session.address, session.namespace, id);
      if (cidfile !== undefined) writeSync(cidfile, id);
    } catch (error) {
      await remove(session, container, { volumes: true });
      throw error;
    }
    return container;
  } catch (error) {
    if (flags.cidfile !== undefined) rmSync(flags.cidfile, { force: true });
    throw error;
  } finally {
    if (cidfile !== undefined) closeSync(cidfile);
  }
}

/** A name may be another container's that has an id besides: nerdctl's, or one that was renamed. */
async function checkFree({ client }: Session, name: string): Promise<void> {
  const named = await client.containers([`labels.${JSON.stringify(NAME)}==${JSON.stringify(name)}`]);
  const other = named.find((one) => one.id !== name);
  if (other !== undefined)
    throw new CliError(
      `container ${name} cannot be made: container ${shortId(other.id)} is called so; remove it with \`hawser rm ${shortId(other.id)}\`, or choose another --name`,
      FAILED,
    );
}

/** `CONTAINER[:ro|rw]`, by what containers are called here. */
async function volumesFrom(session: Session, texts: readonly string[] = []): Promise<VolumesFrom[]> {
  const found: VolumesFrom[] = [];
  for (const text of texts) {
    const [name = '', mode = 'rw', ...more] = text.split(':');
    if (more.length > 0 || !['ro', 'rw', 'z', 'Z'].includes(mode))
      throw new UsageError(`--volumes-from ${JSON.stringify(text)}: it is CONTAINER, CONTAINER:ro or CONTAINER:rw`);
    found.push({ container: await idOf(session, '--volumes-from', name), readOnly: mode === 'ro' });
  }
  return found;
}

/** Of another container that a flag names. @throws CliError with docker's exit status */
async function idOf(session: Session, flag: string, name: string): Promise<string> {
  try {
    return (await session.find(name)).id;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(`${flag}: ${error.message}`, FAILED, { cause: error });
  }
}

/** `container:NAME`; whether it runs is asked when it is needed. */
async function pidOf(session: Session, kind = ''): Promise<string | undefined> {
  const [, name] = /^container:(.+)$/.exec(kind) ?? [];
  return name === undefined ? undefined : idOf(session, '--pid', name);
}

/** `--network container:NAME`, by what containers are called here; the library knows ids. */
async function withContainer(session: Session, flags: RunFlags): Promise<RunFlags> {
  const [, reference] = /^container:(.+)$/.exec(flags.network?.[0] ?? '') ?? [];
  if (reference === undefined) return flags;
  const id = await idOf(session, '--network', reference);
  return { ...flags, network: [`container:${id}`, ...flags.network!.slice(1)] };
}

type PullPolicy = 'always' | 'missing' | 'never';

function pullPolicy(text = 'missing'): PullPolicy {
  if (text === 'always' || text === 'missing' || text === 'never') return text;
  throw new UsageError(`--pull ${JSON.stringify(text)}: there are always, missing and never`);
}

function fetchFlags({ quiet, snapshotter, hostsDir, platform }: RunFlags): PullFlags {
  return {
    ...(platform === undefined ? {} : { platform }),
    ...(quiet === undefined ? {} : { quiet }),
    ...(snapshotter === undefined ? {} : { snapshotter }),
    ...(hostsDir === undefined ? {} : { hostsDir }),
  };
}

/** @param fetch gets the image when it is not there */
async function create(
  session: Session,
  fetch: (() => Promise<unknown>) | undefined,
  options: CreateOptions,
): Promise<Container> {
  const { AlreadyExistsError, NotFoundError, AbortError } = await import('../../client/index.js');
  try {
    return await session.client.create(options);
  } catch (error) {
    const text = (error as Error).message;
    if (error instanceof AbortError) throw error;
    if (error instanceof AlreadyExistsError)
      throw new CliError(
        `container ${options.id} cannot be made: there is one already; remove it with \`hawser rm ${options.id}\`, or choose another --name`,
        FAILED,
        { cause: error },
      );
    if (error instanceof NotFoundError && options.image !== undefined && /^(?!network ).*image/i.test(text)) {
      if (fetch !== undefined) {
        await fetch();
        return create(session, undefined, options);
      }
      throw new CliError(
        `image ${options.image} is not there: fetch it with \`hawser pull ${options.image}\`, take one in with \`hawser images import FILE\`, or give a directory with --rootfs; \`hawser images\` lists what is there`,
        FAILED,
        { cause: error },
      );
    }
    throw new CliError(`container ${options.id} cannot be made: ${text}`, FAILED, { cause: error });
  }
}

/** The file for the id, which must not be there yet: it would name another container. */
function reserve(path: string): number {
  try {
    return openSync(path, 'wx', 0o644);
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? 'it is there already: remove it, or name another'
        : (error as Error).message;
    throw new CliError(`--cidfile ${path}: ${why}`, FAILED, { cause: error });
  }
}
