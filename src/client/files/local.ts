/** The other side of a copy: files of this machine, as this user sees them. */
import { lstatSync, readlinkSync, realpathSync, statSync, type Stats } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import * as errdefs from '../../api/errdefs.js';
import { asksForDirectory, missing, nameOf, type Source, type Target } from './paths.js';

/** As many as the kernel follows. */
const MAX_LINKS = 40;

export interface LocalSource extends Source {
  /** The directory that it is in. */
  readonly directory: string;
  /** What it is called in that; empty for the directory itself. */
  readonly base: string;
}

/** @throws NotFound, InvalidArgument */
export function localSource(path: string, followLink: boolean): LocalSource {
  const asks = asksForDirectory(path);
  const found = known(path, () => {
    if (asks || followLink) return realpathSync(path);
    return join(realpathSync(dirname(resolve(path))), basename(resolve(path)));
  });
  const stat = known(path, () => lstatSync(found));
  if (asks && !stat.isDirectory()) throw errdefs.invalidArgument(`${path} is no directory`);
  const name = nameOf(path);
  const called = name === '..' ? basename(found) : name;
  const common = { said: path, isDirectory: stat.isDirectory(), name: called };
  return stat.isDirectory()
    ? { ...common, directory: found, base: '' }
    : { ...common, directory: dirname(found), base: basename(found) };
}

/** @throws NotFound when its directory is not there */
export function localTarget(said: string): Target {
  let path = resolve(said);
  for (let links = 0; ; links++) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() !== true) break;
    if (links === MAX_LINKS) throw errdefs.invalidArgument(`${said} has too many levels of symbolic links`);
    path = resolve(dirname(path), readlinkSync(path));
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  const above = statSync(dirname(path), { throwIfNoEntry: false });
  if (stat === undefined && above?.isDirectory() !== true)
    throw missing(`directory ${dirname(path)}, in which ${said} would be`);
  return { said, path, exists: stat !== undefined, isDirectory: stat?.isDirectory() === true };
}

function known<T extends string | Stats>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw missing(`file ${path} here`);
    throw error;
  }
}
