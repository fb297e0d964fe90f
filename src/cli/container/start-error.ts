/** Says why a container could not be started, in docker's exit statuses. */
import type { Container } from '../../client/index.js';
import { CliError, FAILED } from '../errors.js';
import { startFailure } from '../explain.js';
import { programOf } from '../options/container.js';
import { LABEL } from '../labels.js';
import { shortId } from '../session.js';

/** Whether a shim could not do with a `file://` URI: containerd's own cannot for terminals, others not at all. */
export function refusesFile(error: unknown): boolean {
  return error instanceof Error && /unknown STDIO scheme|file:\/\//.test(error.message);
}

export async function explainStart<T>(container: Container, start: () => Promise<T>): Promise<T> {
  const { AbortError, AlreadyExistsError } = await import('../../client/index.js');
  try {
    return await start();
  } catch (error) {
    if (error instanceof AbortError) throw error;
    const what = `container ${shortId(container.id)}`;
    const text = (error as Error).message;
    if (error instanceof AlreadyExistsError) throw new CliError(`${what} is running already`, FAILED, { cause: error });
    if (container.record.labels[LABEL.log] !== undefined && refusesFile(error)) {
      throw new CliError(
        `${what} could not be started: the shim of its runtime ${container.record.runtime.name} cannot write output to a file: give --log-driver none, leave out -d, or use Hawser's shim (${text})`,
        FAILED,
        { cause: error },
      );
    }
    throw startFailure(
      what,
      { program: programOf(container.record.spec), cwd: container.record.spec.process?.cwd },
      error,
    );
  }
}
