/** The runtime of one container: for how long it may be asked, and whether what it has of that name is this container. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeFile, type Bundle } from '../../oci/bundle.js';
import { isAnothers, type RuntimePort } from '../../runc/index.js';
import type { ContainerRecord } from '../record/record.js';
import { OciRuntime } from '../runtime/oci.js';
import type { ShimContext } from './context.js';

/** How long a command of the runtime may go on once the init has ended: nothing that it could still do is of use. */
const AFTER_EXIT_MS = 5_000;
/** How long the runtime may take to clean up after an init that has ended. */
const CLEAN_UP_MS = 30_000;
/**
 * How long it may take where it runs hooks then (poststop), such as those that take networks away, one container after the other. The runtime has
 * forgotten the container by the time they run, so that those that are killed are not run again. containerd's own shim waits without end.
 */
const HOOKS_MS = 600_000;

export class ContainerRuntime {
  readonly #over = new AbortController();
  /** For what only concerns a container that lives: ended with it, however the runtime hangs. */
  readonly live: RuntimePort;
  #isForeign = false;

  constructor(
    private readonly record: ContainerRecord,
    private readonly shim: Pick<ShimContext, 'custom' | 'observations'>,
    private readonly bundle: Bundle,
  ) {
    this.live = this.#until(this.#over.signal);
  }

  /** The runtime, its commands killed when the signal aborts. */
  #until(signal: AbortSignal): RuntimePort {
    const { record, shim } = this;
    return (
      shim.custom?.runtime?.(record, signal) ??
      new OciRuntime(record.runtime, this.bundle.log, signal, shim.observations.commands)
    );
  }

  /** For cleaning up, which outlives the container, but not by much. */
  cleaner(): RuntimePort {
    return this.#until(after(CLEAN_UP_MS));
  }

  /** For removing it: what its hooks do then is brought to its end. */
  remover(): RuntimePort {
    return this.#until(after(this.#hasHooksAtItsEnd() ? HOOKS_MS : CLEAN_UP_MS));
  }

  /** For what must be brought to its end though the container ends on the way. */
  finisher(): RuntimePort {
    const late = new AbortController();
    this.over.addEventListener('abort', () => setTimeout(() => late.abort(), CLEAN_UP_MS).unref());
    return this.#until(late.signal);
  }

  /** Aborts when the commands of a container that lives are of no use any more. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  end(): void {
    this.#over.abort();
  }

  initEnded(): void {
    setTimeout(() => this.end(), AFTER_EXIT_MS).unref();
  }

  /** Before the runtime is asked to make it: what is there then is not to be removed, by `delete` either. */
  lookForForeign(): void {
    this.#isForeign = this.isKnown();
    if (this.#isForeign) this.bundle.writeForeign();
  }

  /** Goes on with a container that another process has made. */
  resume({ isForeign }: { isForeign: boolean }): void {
    this.#isForeign = isForeign;
    this.live.resumed?.();
  }

  /** The runtime had a container of this name before it was asked to make this one. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  /** The runtime has a container of this name, made from another bundle. */
  isAnothers(): boolean {
    return isAnothers(this.#stateDirectory, this.record.bundle);
  }

  /** Runtimes keep a directory for each container. */
  isKnown(): boolean {
    return existsSync(this.#stateDirectory);
  }

  /** Its init has gone on; what runc knows that by may be left where the start was broken off. */
  noteStarted(): void {
    removeFile(join(this.#stateDirectory, 'exec.fifo'));
  }

  #hasHooksAtItsEnd(): boolean {
    try {
      return (this.bundle.spec().hooks?.poststop?.length ?? 0) > 0;
    } catch (error) {
      // The runtime cannot read it either.
      if (error instanceof Error) return false;
      throw error;
    }
  }

  get #stateDirectory(): string {
    return join(this.record.runtime.root, this.record.id);
  }
}

/** As AbortSignal.timeout, by a timer of Node's that a test can set. */
function after(ms: number): AbortSignal {
  const late = new AbortController();
  setTimeout(() => late.abort(), ms).unref();
  return late.signal;
}
