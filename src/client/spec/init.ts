/** A program that is a container's first one: it passes signals on, and reaps the processes that nobody waits for. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { INIT_PROGRAM } from '../../oci/init-program.js';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';
import type { Spec } from './types.js';

/** Those that need no library: an image may have none. All take `-- PROGRAM ARGUMENTS`. */
const PROGRAMS = ['docker-init', 'tini-static', 'catatonit'];
/** Where distributions have what is not for users to run. */
const MORE = ['/usr/libexec/docker', '/usr/local/libexec/docker', '/usr/libexec/podman', '/usr/bin', '/usr/sbin'];

/**
 * Has the container's program run below an init program of the host's.
 *
 * @throws FailedPreconditionError when the host has none
 * @param directories where to look for it
 */
export function addInit(spec: Spec, directories: readonly string[] = searchPath()): void {
  const program = PROGRAMS.flatMap((name) => directories.map((dir) => join(dir, name))).find(isProgram);
  if (program === undefined)
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      `init: this machine has none of ${PROGRAMS.join(', ')}: install the package tini or catatonit: failed precondition`,
    );
  spec.process!.args = [INIT_PROGRAM, '--', ...spec.process!.args!];
  spec.mounts = [
    ...(spec.mounts ?? []),
    { destination: INIT_PROGRAM, type: 'bind', source: program, options: ['bind', 'ro'] },
  ];
}

function searchPath(): string[] {
  const own = (process.env.PATH ?? '').split(delimiter).filter((dir) => dir.startsWith('/'));
  return [...own, ...MORE];
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Another place may have it.
    return false;
  }
}
