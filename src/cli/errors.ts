/** What ends a command: one line for the user, and an exit status by docker's conventions. */

/** The daemon, or Hawser, could not do it (docker's convention). */
export const FAILED = 125;
/** The container's command is there, and cannot be run. */
export const NOT_EXECUTABLE = 126;
/** The container's command is not there. */
export const NOT_FOUND = 127;
/** What a process that a signal ended has as its exit status, less the signal's number. */
export const SIGNALLED = 128;

/** Something that the user can put right; the text names the thing, the cause and the next step. */
export class CliError extends Error {
  override readonly name = 'CliError';

  /** @param exitCode 1 unless given, as of docker's commands other than run and exec */
  constructor(
    message: string,
    readonly exitCode = 1,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** There is no container of that name. */
export class NoSuchContainer extends CliError {}

/** The command line cannot be understood; docker ends with 125 then. */
export class UsageError extends CliError {
  constructor(
    message: string,
    readonly command?: string,
  ) {
    super(message, FAILED);
  }
}

/** Not a failure: all has been said, and the command ends with this status. */
export class Exit extends Error {
  override readonly name = 'Exit';

  constructor(readonly exitCode: number) {
    super(`exit ${exitCode}`);
  }
}

/** The text of whatever was thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** One line of an error's text, without what is said twice. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, '; ');
}
