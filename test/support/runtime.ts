/** Which OCI runtime the tests use: the machine's runc, or the program that HAWSER_TEST_RUNC names. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const program = process.env.HAWSER_TEST_RUNC || 'runc';

/** What `--version` says first: `runc version 1.1.5` or `crun version 1.21`. */
export const runtimeVersion = execFileSync(program, ['--version'], {
  encoding: 'utf8',
  env: { PATH: SYSTEM_PATH },
}).split('\n')[0]!;

/** From 1.2 on, runc sends a signal for all processes of a container to its init alone, unless they share a pid namespace. */
export const signalsAll = !/^runc version 1\.([2-9]|\d\d)|^runc version [2-9]/.test(runtimeVersion);

/** For tests of what only one of the runtimes does, or of its own words. */
export const isCrun = runtimeVersion.startsWith('crun');

/** Directories of programs that the runtime runs. */
const helpers: string[] = [];

/** Puts a directory into the PATH of all runtimes that are started from now on. */
export function addToPath(dir: string): void {
  helpers.unshift(dir);
}

/** Where the runtime under test is to be found; what it needs for that is made in the directory. */
export function runtimeProgram(dir: string): string {
  if (program === 'runc') return '/usr/sbin/runc';
  return join(runtimePath(dir).split(':')[0]!, 'runc');
}

/**
 * A PATH on which `runc` is the runtime under test. What it needs for that is made in the directory.
 *
 * @param first directories that come before the system's
 */
export function runtimePath(dir: string, first: readonly string[] = []): string {
  if (program === 'runc') return [...first, ...helpers, SYSTEM_PATH].join(':');
  const bin = join(dir, 'runtime');
  const runc = join(bin, 'runc');
  mkdirSync(bin, { recursive: true });
  if (!existsSync(runc)) {
    // crun takes a cgroup v2 that systemd mounted beside v1 for its own, and fails; it may not see that.
    if (isCrun && existsSync('/sys/fs/cgroup/unified')) {
      writeFileSync(
        runc,
        `#!/bin/sh\nexec unshare --mount --propagation slave sh -c 'umount /sys/fs/cgroup/unified && exec "$0" "$@"' '${program}' "$@"\n`,
        { mode: 0o755 },
      );
    } else {
      symlinkSync(program, runc);
    }
  }
  return [bin, ...first, ...helpers, SYSTEM_PATH].join(':');
}
