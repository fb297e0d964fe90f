/**
 * What follows when a process of a container ends. The init's exit is the last of a container (contract §4.5):
 *
 * 1. seen: the record has its status and time, and the OOM counter has been read; no exec may start any more, and commands of the runtime under way have
 *    seconds left;
 * 2. on disk: `exit.json` in the bundle, before any reply or event says so;
 *    (what was asked for before, and is being answered, comes first: the reply and event of Create, Start)
 * 3. rest killed: what shares the init's pid namespace with others does not end with it;
 * 4. execs published: their exits, whatever it takes to end them;
 * 5. thawed: a container that was paused;
 * 6. out-of-memory published, if the kernel has killed;
 * 7. output drained: a client that is reading has read it, or does not go on;
 * 8. stopped: the state;
 * 9. published: whoever waits is answered, and the exit event is queued.
 *
 * An exec's has 1, 6, 7, 8 and 9. What goes wrong in one of them is logged, and keeps no exit from being published.
 */
import { replaceFile, type ExitStatus } from '../../sys/index.js';
import type { ProcessRecord } from '../record/record.js';
import { move } from '../record/states.js';
import { quietly, type LiveExec, type Parts } from './parts.js';
import type { LiveProcess } from './process.js';
import { killExecs, killRest } from './signal.js';

export class ExitOrder {
  /** Execs started, or being started, whose exit has not been published. */
  #active = 0;
  #onIdle: (() => void)[] = [];
  #initIsGone: () => void = () => undefined;
  /** Resolves when the init's end is seen. */
  readonly initGone = new Promise<void>((resolve) => (this.#initIsGone = resolve));

  constructor(
    private readonly parts: Pick<
      Parts,
      'record' | 'shim' | 'host' | 'bundle' | 'events' | 'runtime' | 'init' | 'execs' | 'memory'
    >,
  ) {}

  /** Goes on as another process has left it, in which nothing was ending. */
  resume(): void {
    this.#active = [...this.parts.execs.values()].filter(({ record }) => record.state === 'running').length;
    if (this.parts.record.init.exitedAt !== undefined) this.#initIsGone();
  }

  /** How many execs the init's exit waits for. */
  get activeExecs(): number {
    return this.#active;
  }

  /** The init has ended. To be called at once. */
  initSeen(status: ExitStatus): void {
    const { record, runtime, bundle, host } = this.parts;
    const { init } = record;
    init.exitStatus = status;
    init.exitedAt = host.now();
    // Before all else: with nobody in it any more, systemd is about to remove the cgroup.
    quietly(this.parts, 'checking the OOM counter at exit', () => this.parts.memory.look());
    this.#initIsGone();
    runtime.initEnded();
    // Nobody asks for its end any more; its bundle may be gone, or another container's.
    if (init.state === 'deleted' || init.state === 'abandoned') return;
    const exit = { pid: init.pid, status, exitedAt: init.exitedAt };
    this.parts.shim.observations.changes.noteExit();
    quietly(this.parts, 'writing the exit status to disk', () => bundle.writeExit(exit, replaceFile));
  }

  /** Nothing has to come before the init's exit any more. */
  initFree(): void {
    const { shim, record, memory } = this.parts;
    memory.initFree();
    this.#finishInit().catch((error: unknown) =>
      shim.log.error('publishing the exit of the init failed', { id: record.id, error }),
    );
  }

  async #finishInit(): Promise<void> {
    const { record, runtime, init } = this.parts;
    // Nobody knows of it.
    if (record.init.state === 'abandoned') return;
    if (record.sharesPidNamespace && record.init.state !== 'deleted')
      await killRest(this.parts).catch(this.#warn('killing the processes that the init has left failed'));
    if (record.sharesPidNamespace) killExecs(this.parts);
    await this.#untilExecsEnded();
    if (record.init.state === 'paused')
      await runtime.cleaner().resume(record.id).catch(this.#warn('resuming a paused container that has ended failed'));
    quietly(this.parts, 'checking the OOM counter at exit', () => this.parts.memory.stop());
    await this.#untilRead(init);
    move(record, 'stopped');
    this.#publish(record.id, record.init, init);
  }

  /** An exec is about to be started: the init's exit waits for it. */
  execBegins(): void {
    this.#active++;
  }

  /** An exec has ended. To be called at once. */
  execSeen({ record }: LiveExec, status: ExitStatus): void {
    if (record.state === 'failed' || record.state === 'deleted') return;
    record.exitStatus = status;
    record.exitedAt = this.parts.host.now();
    this.parts.shim.observations.changes.noteExit();
  }

  /** Nothing has to come before the exec's exit any more. */
  execFree(exec: LiveExec): void {
    // Otherwise it failed to start, and may have been deleted since.
    if (exec.record.state !== 'running') return;
    quietly(this.parts, 'checking the OOM counter', () => this.parts.memory.look());
    const finish = (): void => {
      move(exec.record, 'stopped');
      this.parts.shim.observations.counters.execsFinished++;
      this.#publish(exec.record.id, exec.record, exec.process);
      this.execOver();
    };
    const read = this.#untilRead(exec.process);
    // At once where there is nothing to wait for.
    if (read) void read.then(finish);
    else finish();
  }

  /** The init's exit does not wait for it any more. */
  execOver(): void {
    if (--this.#active > 0) return;
    for (const wake of this.#onIdle.splice(0)) wake();
  }

  #untilExecsEnded(): Promise<void> {
    return this.#active === 0 ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #untilRead({ stdio }: LiveProcess): Promise<void> | undefined {
    return stdio?.beingRead()?.catch(this.#warn('waiting for the client to read the output failed'));
  }

  #publish(id: string, record: ProcessRecord & { state: string }, process: LiveProcess): void {
    // With the init of a pid namespace all processes of the container have ended (pid_namespaces(7)).
    const noneLeft = record === this.parts.record.init && !this.parts.record.sharesPidNamespace;
    quietly(this.parts, 'closing the output at exit', () => process.stdio?.processExited(noneLeft));
    process.wake();
    this.parts.events.exit(id, record);
    // Be there somebody to tell or not.
    this.parts.shim.observations.changes.note();
  }

  #warn(what: string): (error: unknown) => void {
    const { shim, record } = this.parts;
    return (error) => shim.log.warn(what, { id: record.id, error });
  }
}
