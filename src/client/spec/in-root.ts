/** Files of a container's root file system, by the paths that they have in it. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';

/** As many as the kernel follows. */
const MAX_LINKS = 40;
/** As containerd has it: a list of users is shorter, and whoever makes an image is not to fill this process's memory. */
const MAX_BYTES = 10 * 1024 * 1024;

/**
 * The text of a file below a root; undefined when it is not there, or is no regular file. Symbolic links lead to what they lead to
 * inside of the container: never out of the root.
 *
 * @throws InvalidArgumentError for a file of more than 10 MiB
 */
export function readInRoot(root: string, path: string): string | undefined {
  const found = resolveInRoot(root, path);
  if (found === undefined) return undefined;
  let fd: number;
  try {
    // A running container may exchange the file after it was found: for a link, or for a FIFO that nobody writes to.
    fd = openSync(found, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isNothing(error)) return undefined;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return undefined;
    if (stat.size > MAX_BYTES)
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `${path} of the root file system has ${stat.size} bytes, and may have ${MAX_BYTES}: invalid argument`,
      );
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** The path below a root's directory that a path in it leads to; undefined when nothing is there. */
export function resolveInRoot(root: string, path: string): string | undefined {
  let at = '/';
  let links = 0;
  const words = normalize(`/${path}`).split('/').filter(Boolean);
  while (words.length > 0) {
    const next = resolve(at, words.shift()!);
    const target = linkOrExists(join(root, next));
    if (target === undefined) return undefined;
    if (target !== '') {
      if (++links > MAX_LINKS) return undefined;
      words.unshift(...resolve(dirname(next), target).split('/').filter(Boolean));
      at = '/';
    } else at = next;
  }
  return join(root, at);
}

/** Where a link leads; empty for what is no link; undefined for nothing. */
function linkOrExists(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : '';
  } catch (error) {
    if (isNothing(error)) return undefined;
    throw error;
  }
}

/** Nothing is there, or something that is no file. */
function isNothing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO', 'ENODEV', 'EINVAL'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
}
