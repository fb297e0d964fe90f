/**
 * `hawserd oci-hook`: a hook of an OCI runtime that becomes another program, with what is known of the container in its arguments and
 * environment. It is containerd's.
 */
import { exec, execFailure, limitChildrenNofile, setNonblock } from '../../sys/index.js';
import { readState, rootOf } from './state.js';
import { hookTemplates } from './template.js';

/** Variables that the program which starts Node keeps from it. */
const HELD = 'HAWSERD_HELD_';
/** The soft limit of open files before Node raised it, by the same program; absent where there is no limit. */
const NOFILE = 'HAWSERD_NOFILE';

/**
 * Reads the container's state from standard input and becomes the program. That has what is left of standard input, and the same pid.
 *
 * @param args templates: the program, which is not looked for in PATH, and its arguments. The values of the environment are templates too
 * @throws Error that names what is wrong
 */
export function runHook(args: readonly string[]): never {
  // Node may have made streams of them, which do not block; no program counts on that.
  for (const fd of [0, 1, 2]) setNonblock(fd, false);
  const state = readState(0);
  const render = hookTemplates(state, rootOf(state.bundle));
  const argv = args.map((text, i) => render(text, i === 0 ? 'program' : `argument ${i}`));
  const { [NOFILE]: nofile, ...given } = process.env;
  const env = Object.entries(given).map(([key, value]) => {
    const name = key.startsWith(HELD) ? key.slice(HELD.length) : key;
    return render(`${name}=${value}`, 'environment');
  });
  const [file = ''] = argv;
  if (/^\d+$/.test(nofile ?? '')) limitChildrenNofile(Number(nofile));
  try {
    return exec(file, argv, env);
  } catch (error) {
    const reason = execFailure(file, error).message.replace(/^fork\/exec /, '');
    const hint = file.includes('/') ? '' : '; it is not looked for in PATH: give its absolute path';
    throw new Error(`cannot run ${reason}${hint}`, { cause: error });
  }
}
