/** Whom a process runs as: of what a caller or an image says, and of the root file system's /etc/passwd and /etc/group. */
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { readInRoot } from './in-root.js';
import type { SpecUser } from './types.js';

/** What runc takes; containerd and dockerd refuse the rest, too. */
const MAX_ID = 2 ** 31 - 1;

/** A line of /etc/passwd or /etc/group by its fields. */
type Row = readonly string[];

/** True when a user can't be told without the root file system. */
export function needsRoot(user: string): boolean {
  return !/^[+-]?\d+:[+-]?\d+$/.test(user);
}

/**
 * The user that `UID`, `NAME`, `UID:GID`, `NAME:GROUP` or nothing (root) means, as docker takes it: a number is always an id, never a
 * name; of several lines the first one holds. Groups that name the user are given unless a group was chosen.
 *
 * The primary group is among the additional ones, always: a rule against a group, as of a directory of mode 0705, holds for those who are
 * in the group by either list, and a program that changes its primary group would get around it (GHSA-hmfx-3pcx-653p).
 *
 * @param root directory of the root file system; undefined for none, which takes numbers only
 * @throws InvalidArgumentError
 */
export function resolveUser(user: string, root: string | undefined): SpecUser {
  const [name = '', group = '', ...rest] = user.split(':');
  if (rest.length > 0) throw invalid(user, 'it must be USER or USER:GROUP');
  const wanted = idOf(user, name === '' ? '0' : name);
  const explicit = group === '' ? undefined : idOf(user, group);
  const row = !needsRoot(user)
    ? undefined
    : rows(root, '/etc/passwd', 2).find(([word, , uid]) =>
        wanted === undefined ? word === name : Number(uid) === wanted,
      );
  if (row === undefined && wanted === undefined) throw invalid(user, `/etc/passwd of the container has no ${name}`);
  const uid = wanted ?? checked(user, Number(row?.[2]));
  if (group !== '') {
    const gid = explicit ?? groupNamed(group, root);
    if (gid === undefined) throw missingGroup(user, group);
    return { uid, gid: checked(user, gid), additionalGids: [gid] };
  }
  const gid = checked(user, Number(row?.[3] ?? 0));
  const more = row === undefined ? [] : groupsWith(row[0]!, root);
  return { uid, gid, additionalGids: [...new Set([gid, ...more])] };
}

/**
 * Ids of groups that are named or numbered, as docker takes them: what stands in /etc/group by name wins over a number.
 *
 * @throws InvalidArgumentError for a name that is not there
 */
export function resolveGroups(groups: readonly string[], root: string | undefined): number[] {
  return groups.map((group) => {
    const gid = groupNamed(group, root) ?? idOf(group, group);
    if (gid === undefined) throw missingGroup(group, group);
    return checked(group, gid);
  });
}

function groupNamed(name: string, root: string | undefined): number | undefined {
  const row = rows(root, '/etc/group', 2).find(([word]) => word === name);
  return row && Number(row[2]);
}

function groupsWith(member: string, root: string | undefined): number[] {
  return rows(root, '/etc/group', 2)
    .filter(([, , , members = '']) => member !== '' && members.split(',').includes(member))
    .map(([, , gid]) => Number(gid));
}

/**
 * Blanks around a line and comments are passed over, as glibc does. So is a line without an id (NIS has them, such as `+::::::`), which
 * would else stand for root.
 */
function rows(root: string | undefined, path: string, idField: number): Row[] {
  const text = root === undefined ? undefined : readInRoot(root, path);
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split(':'))
    .filter((row) => /^\d+$/.test(row[idField] ?? ''));
}

/** The id that a word is; undefined for a name. */
function idOf(user: string, word: string): number | undefined {
  return /^[+-]?\d+$/.test(word) ? checked(user, Number(word)) : undefined;
}

function checked(user: string, id: number): number {
  if (!(id >= 0 && id <= MAX_ID)) throw invalid(user, `ids are from 0 to ${MAX_ID}`);
  return id;
}

function missingGroup(user: string, group: string): InvalidArgumentError {
  return invalid(user, `/etc/group of the container has no ${group}`);
}

function invalid(user: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `user ${JSON.stringify(user)}: ${why}: invalid argument`);
}
