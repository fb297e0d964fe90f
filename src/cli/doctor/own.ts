/** Hawser itself: whether what was installed is whole, and who may use it. */
import { closeSync, existsSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { distrust, ownShim } from '../enable/own-shim.js';
import { CliError, oneLine } from '../errors.js';
import { missing, ok, wrong, type Finding, type Patient } from './finding.js';

const PATIENCE_MS = 10_000;
const AGAIN = "run 'make install', or `npm install`, again";

export function ownFindings(patient: Patient): Finding[] {
  return [node(patient), addon(patient), shim(patient), user(patient)];
}

/** The one that the programs run on: that of the link, or whichever is found. */
function node({ library }: Patient): Finding {
  const link = join(library, 'node');
  if (existsSync(link)) return ok('Node', `${process.version}, ${process.execPath}`);
  try {
    return wrong('Node', `${link} leads to ${readlinkSync(link)}, which is not there`, AGAIN);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return ok('Node', `${process.version}, ${process.execPath}, which is looked for each time`);
  }
}

/** Loaded here and not by name, as a part that cannot be loaded must not be the end of doctor. */
function addon({ library }: Patient): Finding {
  const file = join(library, 'hawser_sys.node');
  const module: { exports: { pidfdOpen?: (pid: number) => number } } = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return wrong('addon', oneLine(error.message), `it was built for another machine or is not whole: ${AGAIN}`);
  }
  const { pidfdOpen } = module.exports;
  if (pidfdOpen === undefined) return wrong('addon', `${file} is of another version`, AGAIN);
  const descriptor = pidfdOpen(process.pid);
  if (descriptor < 0) {
    const code = Object.entries(constants.errno).find(([, value]) => value === -descriptor)?.[0] ?? descriptor;
    return wrong(
      'addon',
      `pidfd_open: ${code}`,
      'the shim watches processes by it: have seccomp, or the kernel, allow it',
    );
  }
  closeSync(descriptor);
  return ok('addon', file);
}

function shim({ library }: Patient): Finding {
  let path;
  try {
    path = ownShim(library);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return wrong('shim', error.message, AGAIN);
  }
  // As a service of systemd is started.
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  const { status, stdout, stderr, error } = spawnSync(path, ['-v'], { encoding: 'utf8', timeout: PATIENCE_MS, env });
  if (error !== undefined || status !== 0)
    return wrong('shim', `${path} does not run: ${oneLine(error?.message ?? stderr)}`, AGAIN);
  const version = /Version: +(\S+)/.exec(stdout)?.[1];
  if (version === undefined) return wrong('shim', `${path} is not Hawser's`, AGAIN);
  const doubt = distrust(path);
  return doubt === undefined
    ? ok('shim', `${version}, ${path}`)
    : missing('shim', doubt, "it should not be enabled from there: run 'make install' as root");
}

function user({ uid }: Patient): Finding {
  return uid === 0
    ? ok('permissions', 'root')
    : missing('permissions', `user ${uid}`, 'daemons and shims take root; hawser, a socket that this user may use');
}
