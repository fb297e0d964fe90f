/** Which streams of a container that runs in the foreground are this command's: --attach, as docker takes it. */
import { UsageError } from '../errors.js';
import type { RunFlags } from '../program/run-flags.js';

const STREAMS = ['stdin', 'stdout', 'stderr'] as const;

export type Stream = (typeof STREAMS)[number];

/** All of them, unless some are named. @throws UsageError */
export function attachedStreams({ attach, detach = false }: Pick<RunFlags, 'attach' | 'detach'>): ReadonlySet<Stream> {
  if (attach === undefined) return new Set(STREAMS);
  if (detach) throw new UsageError('--attach and --detach: what is left running is not attached to: give one of them');
  return new Set(
    attach.map((text) => {
      const stream = STREAMS.find((one) => one === text.toLowerCase());
      if (stream === undefined)
        throw new UsageError(`--attach ${JSON.stringify(text)}: there are ${STREAMS.join(', ')}`);
      return stream;
    }),
  );
}
