/** Users by name, as a root file system's /etc/passwd and /etc/group have them. */
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { readInRoot } from './in-root.js';
import type { SpecUser } from './types.js';

/** True when a user can't be told without the root file system. */
export function needsRoot(user: string): boolean {
  return !/^\d+:\d+$/.test(user);
}

/**
 * The user that `UID`, `NAME`, `UID:GID` or `NAME:GROUP` means; with the groups that name it, unless a group is given.
 *
 * @param root directory of the root file system; undefined for none, which takes numbers only
 */
export function resolveUser(user: string, root: string | undefined): SpecUser {
  const [name = '', group, ...rest] = user.split(':');
  if (name === '' || group === '' || rest.length > 0) throw invalid(user, 'it must be USER or USER:GROUP');
  const users = rows(root, '/etc/passwd');
  const groups = rows(root, '/etc/group');
  const row = users.find(([word]) => word === name) ?? (isNumber(name) ? users.find(([, , uid]) => uid === name) : undefined);
  if (row === undefined && !isNumber(name)) throw invalid(user, `/etc/passwd of the container has no ${name}`);
  const uid = Number(row?.[2] ?? name);
  if (group !== undefined) {
    const found = groups.find(([word]) => word === group)?.[2] ?? (isNumber(group) ? group : undefined);
    if (found === undefined) throw invalid(user, `/etc/group of the container has no ${group}`);
    return { uid, gid: Number(found) };
  }
  const gid = Number(row?.[3] ?? 0);
  const more = row === undefined ? [] : groups.filter(([, , , members]) => members?.split(',').includes(row[0]!)).map(([, , id]) => Number(id));
  return { uid, gid, additionalGids: [...new Set([gid, ...more])] };
}

function rows(root: string | undefined, path: string): string[][] {
  const text = root === undefined ? undefined : readInRoot(root, path);
  return (text ?? '').split('\n').filter((line) => line.includes(':') && !line.startsWith('#')).map((line) => line.split(':'));
}

function isNumber(word: string): boolean {
  return /^\d+$/.test(word);
}

function invalid(user: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `user ${JSON.stringify(user)}: ${why}: invalid argument`);
}
