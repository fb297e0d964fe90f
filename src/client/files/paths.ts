/** Paths as docker's `cp` takes them: a slash at the end asks for a directory, `/.` for what is in it. */
import { posix } from 'node:path';
import * as errdefs from '../../api/errdefs.js';

/** What is to be copied. */
export interface Source {
  /** For messages. */
  readonly said: string;
  readonly isDirectory: boolean;
  /** What it is called; `.` for what is in a directory. */
  readonly name: string;
}

/** Where to. */
export interface Target {
  readonly said: string;
  /** All links in it are followed. */
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

/** Whether a path says that it is a directory's. */
export function asksForDirectory(path: string): boolean {
  return path.endsWith('/') || asksForContents(path);
}

export function asksForContents(path: string): boolean {
  return /(?:^|\/)\.$/.test(path);
}

/** The last name of a path, with `.` for what is in a directory. */
export function nameOf(path: string): string {
  return asksForContents(path) ? '.' : posix.basename(posix.normalize(path));
}

/**
 * In which directory an archive of the source is unpacked, and what the source is called there.
 *
 * @throws InvalidArgument, NotFound for what does not go together
 */
export function placeOf(source: Source, target: Target): { readonly directory: string; readonly name: string } {
  if (target.exists && target.isDirectory) return { directory: target.path, name: source.name };
  const there = { directory: posix.dirname(target.path), name: posix.basename(target.path) };
  if (target.exists && source.isDirectory)
    throw errdefs.invalidArgument(
      `${target.said} is no directory, so the directory ${source.said} cannot be copied to it`,
    );
  if (target.exists && asksForDirectory(target.said)) throw errdefs.invalidArgument(`${target.said} is no directory`);
  if (target.exists || source.isDirectory || !asksForDirectory(target.said)) return there;
  throw errdefs.notFound(`there is no directory ${target.said}, and ${source.said} is none that could become it`);
}

/** @param said is named in the message, as is the container by whoever passes the error on */
export function missing(said: string): Error {
  return errdefs.notFound(`there is no ${said}`);
}
