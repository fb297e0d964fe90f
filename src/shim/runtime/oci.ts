/** An OCI runtime's binary as the runtime of a container, called as the container's options say. */
import { join } from 'node:path';
import { Runtime, type ExecLaunch, type Launch, type CheckpointOptions } from '../../runc/index.js';
import type { CommandObserver, RestoreImages, RuntimePort } from '../../runc/index.js';
import type { RuntimeSettings } from '../record/record.js';

export class OciRuntime implements RuntimePort {
  readonly #runtime: Runtime;

  /**
   * @param log file that the runtime appends its log to
   * @param signal kills the commands that are under way when it aborts, and those begun later
   */
  constructor(
    private readonly settings: RuntimeSettings,
    log: string,
    signal: AbortSignal,
    observer: CommandObserver,
  ) {
    const { binary, root, systemdCgroup, criu } = settings;
    this.#runtime = new Runtime({ binary, root, log, systemdCgroup, criu, signal, observer });
  }

  create({ container, bundle, pidFile, io }: Launch): Promise<number> {
    const { noPivotRoot, noNewKeyring } = this.settings;
    return this.#runtime.create(container, { bundle, pidFile, noPivotRoot, noNewKeyring, ...io });
  }

  restore({ container, bundle, pidFile, io }: Launch, images: RestoreImages): Promise<number> {
    const { noPivotRoot } = this.settings;
    return this.#runtime.restore(container, { bundle, pidFile, noPivotRoot, ...images, ...io });
  }

  exec({ container, exec, bundle, pidFile, spec, io, signal }: ExecLaunch): Promise<number> {
    return this.#runtime.exec(container, spec, {
      execId: exec,
      pidFile,
      processFile: join(bundle, `.${exec}.process.json`),
      ...(signal ? { signal } : {}),
      ...io,
    });
  }

  resumed(): void {
    this.#runtime.resumed();
  }

  start(container: string, ended: Promise<unknown>): Promise<void> {
    return this.#runtime.start(container, ended);
  }

  kill(container: string, signal: number, options: { all: boolean }): Promise<void> {
    return this.#runtime.kill(container, signal, options);
  }

  delete(container: string, options?: { force?: boolean }): Promise<void> {
    return this.#runtime.delete(container, options);
  }

  removeEnded(container: string, pid: number): Promise<boolean> {
    return this.#runtime.removeEnded(container, pid);
  }

  pause(container: string): Promise<void> {
    return this.#runtime.pause(container);
  }

  resume(container: string): Promise<void> {
    return this.#runtime.resume(container);
  }

  update(container: string, resources: Uint8Array): Promise<void> {
    return this.#runtime.update(container, resources);
  }

  checkpoint(container: string, options: CheckpointOptions): Promise<void> {
    return this.#runtime.checkpoint(container, options);
  }

  ps(container: string): Promise<number[]> {
    return this.#runtime.ps(container);
  }
}
