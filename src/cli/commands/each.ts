/** Commands that do one thing to each of several containers, and go on when one of them fails. */
import type { Container } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError, Exit } from '../errors.js';
import { explain } from '../explain.js';
import { withSession, type Session } from '../session.js';

/**
 * @param work returns what is printed for a container; as it was called, unless given
 * @param passOver what is said, and is no failure
 */
export async function forEach(
  references: readonly string[],
  globals: Globals,
  work: (container: Container, session: Session) => Promise<string | void>,
  passOver: (error: unknown) => boolean = () => false,
): Promise<void> {
  await withSession(globals, async (session) => {
    let failed = 0;
    for (const reference of references) {
      try {
        const text = await work(await session.find(reference), session);
        process.stdout.write(`${text ?? reference}\n`);
      } catch (error) {
        const { text, exitCode } = explain(error);
        process.stderr.write(`hawser: ${text}\n`);
        if (!passOver(error)) failed = exitCode;
      }
    }
    if (failed !== 0) throw new Exit(failed);
  });
}

/** Runs a call on a container, and names the container in whatever it fails with. */
export async function naming<T>(
  reference: string,
  what: string,
  next: Readonly<Record<string, string>>,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof CliError || error instanceof Exit || error instanceof TypeError)
      throw error;
    const step = next[error.name];
    throw new CliError(`container ${reference} ${what}: ${step ?? error.message}`, 1, { cause: error });
  }
}
