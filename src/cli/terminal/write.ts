/** Writing to this command's output, at the speed of whoever reads it. */
import type { Writable } from 'node:stream';

/** Writes everything that comes. Resolves at its end, or when nobody reads any more. */
export async function copyOut(from: AsyncIterable<Uint8Array>, to: Writable, seen?: () => void): Promise<void> {
  for await (const chunk of from) {
    seen?.();
    if (to.destroyed || to.errored) return;
    if (to.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of ['drain', 'close', 'error']) to.off(event, done);
        resolve();
      };
      for (const event of ['drain', 'close', 'error']) to.once(event, done);
    });
  }
}
