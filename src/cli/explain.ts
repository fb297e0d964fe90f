/** Turns what went wrong into the one line that the user reads, and the exit status. */
import { startFaultOf } from '../client/program-error.js';
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

/**
 * A container, or an exec, that could not be started: docker's exit status by what the runtime said.
 *
 * @param what names it: `container web`
 */
export function startFailure(what: string, { program, cwd }: Wanted, error: unknown): CliError {
  const text = oneLine(textOf(error));
  const name = program === undefined ? 'its command' : JSON.stringify(program);
  const options = { cause: error };
  const fault = startFaultOf(text, cwd);
  switch (fault?.kind) {
    case 'directory': {
      const { path, reason } = fault;
      const is = /no such file/i.test(reason)
        ? 'is not there'
        : /not a directory/i.test(reason)
          ? 'is no directory'
          : 'may not be entered by its user';
      return new CliError(
        `${what}: working directory ${path} ${is}: name another with -w, or make it: ${text}`,
        NOT_EXECUTABLE,
        options,
      );
    }
    case 'missing':
      return new CliError(
        `${what}: ${name} is not in its root file system, or not in its PATH: ${text}`,
        NOT_FOUND,
        options,
      );
    case 'unusable':
      return new CliError(`${what}: ${name} is no program that can be run there: ${text}`, NOT_EXECUTABLE, options);
    case 'network':
      return new CliError(`${what} could not be started: ${fault.reason}`, FAILED, options);
    case undefined:
      return new CliError(`${what} could not be started: ${text}`, FAILED, options);
  }
}
