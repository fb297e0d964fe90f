/** hawser push. */
import type { Globals } from '../address.js';
import { CliError, oneLine, textOf } from '../errors.js';
import { TransferProgress } from '../output/transfer-progress.js';
import { withSession } from '../session.js';
import { interruptible } from '../terminal/interrupt.js';

export interface PushFlags {
  readonly quiet?: boolean;
  readonly platform?: string;
  readonly hostsDir?: string;
}

export async function pushCommand(
  name: string,
  { quiet = false, platform, hostsDir }: PushFlags,
  globals: Globals,
): Promise<void> {
  const { AbortError, NotFoundError } = await import('../../client/index.js');
  const progress = new TransferProgress(name, 'pushing', !quiet);
  try {
    const pushed = await withSession(globals, ({ client }) =>
      interruptible(async (signal) => {
        const image = await client.images.get(name, { signal }).catch((error: unknown) => {
          if (!(error instanceof NotFoundError)) throw error;
          throw new CliError('it is not there: `hawser images` lists what is', 1, { cause: error });
        });
        return client.images.push(image.name, { signal, platform, hostsDir, progress: progress.update });
      }),
    );
    progress.end();
    process.stdout.write(quiet ? `${pushed.name}\n` : `${pushed.name} ${pushed.target.digest}\n`);
  } catch (error) {
    progress.end();
    if (!(error instanceof Error) || error instanceof AbortError || error instanceof TypeError || error.name === 'Exit')
      throw error;
    throw new CliError(`image ${name} cannot be pushed: ${oneLine(textOf(error))}`, 1, { cause: error });
  }
}
