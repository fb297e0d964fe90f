/** How a process comes to be, whichever it is: created, restored, or an exec. */
import { unknown } from '../../api/errdefs.js';
import type { ProcessIo } from '../../runc/index.js';
import type { ExitStatus } from '../../sys/index.js';
import { runtimeFailure } from '../runtime/errors.js';
import type { Stdio } from '../stdio/index.js';
import type { ExitOrder } from './exit-order.js';
import type { Parts } from './parts.js';
import type { LiveProcess } from './process.js';

/** What differs from one kind of process to another. */
export interface Strategy {
  /** What the error of a launch that fails begins with. */
  readonly failure: string;
  /** Asks the runtime for the process. Resolves to its pid. */
  run(io: ProcessIo): Promise<number>;
  /** It is there, and its end will be noticed. */
  launched(): void;
  /** It has ended. Called at once. */
  seen(status: ExitStatus): void;
  /** It has ended, and nothing has to come before its exit any more. */
  free(): void;
}

/** What any init does when it ends. */
export function initEnd(exits: ExitOrder): Pick<Strategy, 'seen' | 'free'> {
  return { seen: (status) => exits.initSeen(status), free: () => exits.initFree() };
}

/**
 * Launches a process: it is a child of this one when this resolves, its end is watched, and its streams are attached.
 *
 * @throws the runtime's failure, in the words that clients know; the process may exist nevertheless
 */
export async function launch(
  { shim, host }: Pick<Parts, 'shim' | 'host'>,
  live: LiveProcess,
  stdio: Stdio,
  strategy: Strategy,
): Promise<void> {
  await shim.orphans.adopting(async () => {
    let pid: number;
    try {
      pid = await strategy.run(ioOf(stdio));
    } catch (error) {
      throw runtimeFailure(strategy.failure, error);
    }
    // A pid that is none of our children would never be seen to end, and signals for it would hit somebody else.
    if (!host.isChild(pid))
      throw unknown(
        `${strategy.failure}: the runtime says that the process is ${pid}, which is none that it has started`,
      );
    live.watch(
      pid,
      (status) => strategy.seen(status),
      () => strategy.free(),
    );
    strategy.launched();
  });
  await stdio.attach();
}

function ioOf(stdio: Stdio): ProcessIo {
  return {
    ...(stdio.given === undefined ? {} : { stdio: stdio.given }),
    ...(stdio.consoleSocket === undefined ? {} : { consoleSocket: stdio.consoleSocket }),
    onSpawn: () => stdio.handedOver(),
    printed: () => stdio.printed(),
  };
}
