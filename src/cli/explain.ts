/** Turns what went wrong into the one line that the user reads, and the exit status. */
import { CliError, Exit, FAILED, NOT_EXECUTABLE, NOT_FOUND, oneLine, textOf, UsageError } from './errors.js';

export interface Explanation {
  /** Empty when there is nothing to say. */
  readonly text: string;
  readonly exitCode: number;
}

export function explain(error: unknown): Explanation {
  if (error instanceof Exit) return { text: '', exitCode: error.exitCode };
  if (error instanceof UsageError)
    return {
      text: `${oneLine(error.message)}${error.message.endsWith('?') ? '' : '.'} See 'hawser ${error.command ? `${error.command} ` : ''}--help'`,
      exitCode: error.exitCode,
    };
  if (error instanceof CliError) return { text: oneLine(error.message), exitCode: error.exitCode };
  if (error instanceof TypeError || error instanceof ReferenceError)
    return { text: `defect: ${error.stack ?? error.message}`, exitCode: FAILED };
  return { text: oneLine(textOf(error)), exitCode: 1 };
}

/** What was to be started. */
export interface Wanted {
  readonly program: string | undefined;
  readonly cwd?: string | undefined;
}

/** The directory comes first: its name, and that of a program, may hold any words. */
const DIRECTORY = [
  // runc, to 1.3 at least
  /chdir to cwd \("(?<path>.*)"\) set in config\.json failed: (?<why>.+?)(?:: unknown)?$/i,
  // crun
  /chdir to `(?<path>.*)`: (?<why>.+?)(?:: unknown)?$/i,
  // runc makes a container's directory when it is missing
  /error during container init: mkdir (?<path>.*): (?<why>not a directory|permission denied|read-only file system)(?:: unknown)?$/i,
];
/** What the hook for networks has said, in what the runtime says of it: client/network/hook. */
const NETWORK = /hawser-network: (?<why>.+?)(?:: unknown)?$/;
/** Of runc, crun, and hawser/shim. */
const MISSING =
  /executable file .*not found|(?:exec: .*|exec \S*): no such file or directory|open executable: no such file|cannot find.*executable/i;
const NO_PROGRAM = new RegExp(
  [
    /exec: ".*": .+/,
    /exec \S+: (?:permission denied|is a directory|not a directory|exec format error)/,
    /open executable: /,
    /the path `.*` (?:exists but it is not executable|is not a regular file)/,
    /cannot open `.*`: (?:not a directory|permission denied)/,
    /exec: exec format error/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);

/**
 * A container, or an exec, that could not be started: docker's exit status by what the runtime said.
 *
 * @param what names it: `container web`
 */
export function startFailure(what: string, { program, cwd }: Wanted, error: unknown): CliError {
  const text = oneLine(textOf(error));
  const name = program === undefined ? 'its command' : JSON.stringify(program);
  const options = { cause: error };
  const network = NETWORK.exec(text)?.groups?.why;
  if (network !== undefined) return new CliError(`${what} could not be started: ${network}`, FAILED, options);
  for (const pattern of DIRECTORY) {
    const { path, why = '' } = pattern.exec(text)?.groups ?? {};
    // Directories of mounts are made in the same way.
    if (path === undefined || (pattern.source.includes('mkdir') && path !== cwd)) continue;
    const is = /no such file/i.test(why)
      ? 'is not there'
      : /not a directory/i.test(why)
        ? 'is no directory'
        : 'may not be entered by its user';
    return new CliError(
      `${what}: working directory ${path} ${is}: name another with -w, or make it: ${text}`,
      NOT_EXECUTABLE,
      options,
    );
  }
  if (MISSING.test(text))
    return new CliError(
      `${what}: ${name} is not in its root file system, or not in its PATH: ${text}`,
      NOT_FOUND,
      options,
    );
  if (NO_PROGRAM.test(text))
    return new CliError(`${what}: ${name} is no program that can be run there: ${text}`, NOT_EXECUTABLE, options);
  return new CliError(`${what} could not be started: ${text}`, FAILED, options);
}
