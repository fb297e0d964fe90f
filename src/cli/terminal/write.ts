/** Writing to this command's output, at the speed of whoever reads it. */
import type { Writable } from 'node:stream';

/** Writes everything that comes. Resolves at its end, or when nobody reads any more. */
export async function copyOut(from: AsyncIterable<Uint8Array>, to: Writable, seen?: () => void): Promise<void> {
  for await (const chunk of from) {
    seen?.();
    if (!(await writeOut(chunk, to))) return;
  }
}

/** What comes of two outputs, each to this command's own; of the same chunk together, which saves many a write. */
export async function copyBoth(from: AsyncIterable<readonly Piece[]>, seen?: () => void): Promise<void> {
  for await (const pieces of from) {
    seen?.();
    for (let at = 0; at < pieces.length;) {
      const { stream } = pieces[at]!;
      const first = at;
      while (pieces[at]?.stream === stream) at++;
      const bytes = pieces.slice(first, at).map((piece) => piece.bytes);
      if (
        !(await writeOut(bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes), process[stream])) &&
        stream === 'stdout'
      )
        return;
    }
  }
}

interface Piece {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** Resolves when there is room for more. False when nobody reads any more. */
async function writeOut(chunk: Uint8Array, to: Writable): Promise<boolean> {
  if (to.destroyed || to.errored) return false;
  if (to.write(chunk)) return true;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) to.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) to.once(event, done);
  });
  return true;
}
