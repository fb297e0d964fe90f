/** Makes a container as the flags say, and what the command line keeps with it. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, CreateOptions } from '../../client/index.js';
import { FAILED, CliError, UsageError } from '../errors.js';
import { LABEL, PREFIX } from '../labels.js';
import { pairs } from '../options/environment.js';
import { checkName, createOptions } from '../options/container.js';
import { logTarget } from '../options/log.js';
import type { RunFlags } from '../program/run-flags.js';
import type { Session } from '../session.js';
import { containerDirectory, makeContainerDirectory } from '../store.js';
import { remove } from './end.js';

export interface Making {
  /** Its output goes to a log; without it, to whoever has started it. */
  readonly logged: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** @throws CliError with docker's exit status; nothing is left of it then */
export async function makeContainer(
  session: Session,
  words: readonly string[],
  flags: RunFlags,
  { logged, signal }: Making,
): Promise<Container> {
  const id = flags.name === undefined ? randomBytes(32).toString('hex') : checkName(flags.name);
  const options = createOptions(id, words, flags);
  const userLabels = pairs(flags.label, '--label');
  const reserved = Object.keys(userLabels).find((name) => name.startsWith(PREFIX));
  if (reserved !== undefined)
    throw new UsageError(`--label ${reserved}: labels that begin with ${PREFIX} are Hawser's own`);
  const directory = containerDirectory(session.address, session.namespace, id);
  const log = logged ? logTarget(flags.logDriver, flags.logOpt, join(directory, 'log')) : undefined;
  const cidfile = flags.cidfile === undefined ? undefined : reserve(flags.cidfile);
  try {
    const container = await create(session, {
      ...options,
      signal,
      stopSignal: flags.stopSignal || undefined,
      labels: {
        ...userLabels,
        ...(log ? { [LABEL.log]: log.uri } : {}),
        ...(logged && flags.interactive ? { [LABEL.stdin]: join(directory, 'stdin') } : {}),
        ...(flags.rm ? { [LABEL.autoRemove]: 'true' } : {}),
        ...(options.rootfs ? { [LABEL.rootfs]: options.rootfs } : {}),
      },
    });
    try {
      // Not before: one of that name may be there, and the directory its own.
      makeContainerDirectory(session.address, session.namespace, id);
      if (cidfile !== undefined) writeSync(cidfile, id);
    } catch (error) {
      await remove(session, container, false);
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

async function create(session: Session, options: CreateOptions): Promise<Container> {
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
    if (error instanceof NotFoundError && options.image !== undefined && /image/i.test(text)) {
      throw new CliError(
        `image ${options.image} is not there: take one in with \`hawser images import FILE\`, or give a directory with --rootfs; \`hawser images\` lists what is there`,
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
