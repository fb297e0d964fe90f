/** What all that deals with bundles needs: the shim's own clean-up, and its log. */
import type { Logger } from 'pino';
import type { Exchange } from '../events/types.js';
import type { LastWord, ShimLauncher } from '../shims/launcher.js';
import { LogFifo } from '../shims/log-fifo.js';
import type { TaskBundle, TaskDirs } from './bundle.js';
import type { Timeouts } from './timeouts.js';

export interface TaskManagerOptions {
  readonly dirs: TaskDirs;
  /** Where runtimes keep their state, unless a client says otherwise: another daemon's containers may have the same names. */
  readonly runtimeRoot: string;
  readonly launcher: ShimLauncher;
  readonly events: Exchange;
  readonly log: Logger;
  readonly timeouts: Timeouts;
  /** The shim's binary or runtime name that a container's record asks for; undefined when there is no record. */
  readonly recordedRuntime: (namespace: string, id: string) => string | undefined;
}

/** Runs the shim's `delete` action; undefined when it failed, which is logged. */
export async function cleanUp(
  { launcher, log }: Pick<TaskManagerOptions, 'launcher' | 'log'>,
  bundle: TaskBundle,
  binary: string,
): Promise<LastWord | undefined> {
  const { namespace, id } = bundle;
  try {
    const last = await launcher.delete(binary, bundle);
    if (last.warnings !== '') log.warn({ namespace, id, warnings: last.warnings }, 'cleanup warnings');
    return last;
  } catch (error) {
    log.warn({ err: error, namespace, id }, 'failed to clean up after shim disconnected');
    return undefined;
  }
}

/** Opens a bundle's log FIFO, and passes on to the daemon's log what shims write there. */
export function openLog({ log }: Pick<TaskManagerOptions, 'log'>, { log: path, namespace, id }: TaskBundle): LogFifo {
  return LogFifo.open(path, (line) => log.debug({ namespace, id }, line));
}
