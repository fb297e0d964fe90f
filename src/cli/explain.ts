/** Turns what went wrong into the one line that the user reads, and the exit status. */
import { CliError, Exit, FAILED, NOT_EXECUTABLE, NOT_FOUND, oneLine, textOf, UsageError } from './errors.js';

export interface Explanation {
  /** Empty when there is nothing to say. */
  readonly text: string;
  readonly exitCode: number;
}

export function explain(error: unknown): Explanation {
  if (error instanceof Exit) return { text: '', exitCode: error.exitCode };
  if (error instanceof UsageError) return { text: `${oneLine(error.message)}${error.message.endsWith('?') ? '' : '.'} See 'hawser ${error.command ? `${error.command} ` : ''}--help'`, exitCode: error.exitCode };
  if (error instanceof CliError) return { text: oneLine(error.message), exitCode: error.exitCode };
  if (error instanceof TypeError || error instanceof ReferenceError) return { text: `defect: ${error.stack ?? error.message}`, exitCode: FAILED };
  return { text: oneLine(textOf(error)), exitCode: 1 };
}

/**
 * A container, or an exec, that could not be started: docker's exit status by what the runtime said.
 *
 * @param what names it: `container web`
 * @param program what it was to run
 */
export function startFailure(what: string, program: string | undefined, error: unknown): CliError {
  const text = oneLine(textOf(error));
  const name = program === undefined ? 'its command' : JSON.stringify(program);
  const options = { cause: error };
  if (/executable file.*not found|exec: .*no such file or directory|exec .*no such file or directory|cannot find.*executable|stat .*no such file or directory: unknown$/i.test(text)) {
    return new CliError(`${what}: ${name} is not in its root file system, or not in its PATH: ${text}`, NOT_FOUND, options);
  }
  if (/exec.*(permission denied|is a directory|not a directory|exec format error)|open executable: (?!.*no such)/i.test(text)) {
    return new CliError(`${what}: ${name} is no program that can be run there: ${text}`, NOT_EXECUTABLE, options);
  }
  return new CliError(`${what} could not be started: ${text}`, FAILED, options);
}
