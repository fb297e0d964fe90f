/** One container: which operation is done when, and by whom; what each does is in the files beside this one. */
import { notFound } from '../../api/errdefs.js';
import { Bundle } from '../../oci/bundle.js';
import type { ContainerSnapshot, ProcessSnapshot } from '../debug/sources.js';
import { TaskEvents } from '../events/task-events.js';
import type { ContainerRecord, ExecRecord, ProcessRecord } from '../record/record.js';
import { check } from '../record/states.js';
import { ContainerRuntime } from './container-runtime.js';
import type { ShimContext } from './context.js';
import { checkpoint, pause, resume, update, type CheckpointRequest } from './control.js';
import { ExitOrder } from './exit-order.js';
import { thisHost, type Host } from './host.js';
import { abandon, create, startCreated } from './lifecycle/created.js';
import { addExec, startExec } from './lifecycle/exec.js';
import { restore } from './lifecycle/restored.js';
import { settle, undoLost, type Lost } from './lost.js';
import { MemoryWatch } from './memory.js';
import type { LiveExec, Parts } from './parts.js';
import { pidsOf, type ContainerPid } from './pids.js';
import { LiveProcess } from './process.js';
import { Serial } from './queue.js';
import { removeContainer, removeExec } from './remove.js';
import { resumeContainer, restContainer, type RestingContainer } from './resting.js';
import { kill, killExec } from './signal.js';
import type { Found, Leaving } from '../worker/leaving.js';

export class Container {
  readonly #parts: Parts;
  /** State-changing operations of the init, one at a time. Reading never waits for them. */
  readonly #serial: Serial;
  #isLetGo = false;

  constructor(
    readonly record: ContainerRecord,
    shim: ShimContext,
    machine: Host = thisHost,
  ) {
    const host = shim.isRehearsal ? this.#inRehearsal(machine) : machine;
    this.#serial = new Serial(shim.observations.requests);
    const bundle = new Bundle(record.bundle);
    const init = new LiveProcess(record.init, host);
    const events = new TaskEvents(shim.events, record.id);
    const runtime = new ContainerRuntime(record, shim, bundle);
    const execs = new Map<string, LiveExec>();
    const some = { record, shim, host, bundle, events, runtime, init, execs };
    const memory = new MemoryWatch(some);
    this.#parts = { ...some, memory, exits: new ExitOrder({ ...some, memory }) };
  }

  // ---- for another process to go on with ----------------------------------------------------------------------------

  #inRehearsal(machine: Host): Host {
    return {
      ...machine,
      // A zygote does nothing that others could feel, and will be moved itself.
      expectMigration: () => undefined,
      onExit: (pid, seen) => machine.onExit(pid, (status) => (this.#isLetGo ? undefined : seen(status))),
    };
  }

  /** Of a rehearsal: closes what it has open, and does nothing any more. Another in this process goes on, with descriptors of its own. */
  async letGo(): Promise<void> {
    const { init, execs, memory } = this.#parts;
    this.#isLetGo = true;
    memory.stop();
    for (const live of [init, ...[...execs.values()].map(({ process }) => process)]) await live.stdio?.close();
  }

  /** @throws CannotRest */
  rest(leaving: Leaving): RestingContainer {
    return restContainer(this.#parts, this.#serial, leaving);
  }

  /** Goes on with what another process has left. */
  static resume(resting: RestingContainer, shim: ShimContext, found: Found, host?: Host): Container {
    shim.custom?.resume?.(resting.record, resting.custom);
    const container = new Container(resting.record, shim, host);
    resumeContainer(container.#parts, resting, found);
    return container;
  }

  /**
   * An earlier process was asked for this, and ended without a word: what became of it is found out, before anything else is done.
   * Resolves when it is known, or nobody will know.
   */
  settle(lost: readonly Lost[]): Promise<void> {
    const { shim, record } = this.#parts;
    return this.#serial
      .run(() => settle(this.#parts, lost))
      .catch((error: unknown) =>
        shim.log.error('finding out what became of a request failed', { id: record.id, error }),
      );
  }

  /** The same for its create: nothing is left of it. */
  undo(): Promise<void> {
    return this.#serial.run(() => undoLost(this.#parts));
  }

  // ---- its life --------------------------------------------------------------------------------------------------

  /** On failure nothing is left. */
  create(): Promise<void> {
    return create(this.#parts);
  }

  /** The client has given up on the create that is under way. */
  abandon(): void {
    abandon(this.#parts);
  }

  /** Starts the init, or restores it from its checkpoint. Its start event comes before its exit event. */
  start(): Promise<number> {
    return this.#serial.run(async () => {
      const { record, init, events } = this.#parts;
      check(record, 'start');
      init.hold();
      try {
        init.stdio?.beforeStart();
        if (record.init.state === 'restorable') await restore(this.#parts);
        else await startCreated(this.#parts);
        events.start(record.init.pid);
        return record.init.pid;
      } finally {
        init.release();
      }
    });
  }

  /** Removes the container. It stays, and may be deleted again, when something could not be cleaned up. */
  delete(): Promise<void> {
    return this.#serial.run(() => removeContainer(this.#parts));
  }

  // ---- execs -----------------------------------------------------------------------------------------------------

  /** Registers an exec; nothing is run. */
  addExec(exec: ExecRecord): void {
    addExec(this.#parts, exec);
  }

  /** @param deadline when it passes, what the runtime is still doing for it is broken off: nobody waits for it any more */
  startExec(execId: string, deadline?: AbortSignal): Promise<number> {
    return startExec(this.#parts, this.#exec(execId), deadline);
  }

  /** Removes an exec that has ended or was never started. */
  async deleteExec(execId: string): Promise<ExecRecord> {
    return removeExec(this.#parts, this.#exec(execId));
  }

  // ---- signals, freezing, limits ---------------------------------------------------------------------------------

  kill(signal: number, all: boolean): Promise<void> {
    return kill(this.#parts, signal, all);
  }

  async killExec(execId: string, signal: number): Promise<void> {
    await killExec(this.#parts, this.#exec(execId), signal);
  }

  pause(): Promise<void> {
    return this.#serial.run(() => pause(this.#parts));
  }

  resume(): Promise<void> {
    return this.#serial.run(() => resume(this.#parts));
  }

  update(resources: Uint8Array): Promise<void> {
    return this.#serial.run(() => update(this.#parts, resources));
  }

  checkpoint(options: CheckpointRequest): Promise<void> {
    return this.#serial.run(() => checkpoint(this.#parts, options));
  }

  // ---- questions and small changes, answered from memory ---------------------------------------------------------

  /** The init's record, or that of one of its execs. */
  process(execId: string): ProcessRecord {
    return this.#process(execId).record;
  }

  /** Resolves when the process has ended and its exit may be known; with its record as it is then. */
  async wait(execId: string, signal: AbortSignal): Promise<ProcessRecord> {
    const live = this.#process(execId);
    const { state } = execId ? this.#exec(execId).record : this.record.init;
    if (state !== 'stopped' && state !== 'failed') await live.wait(signal);
    return live.record;
  }

  /** Does nothing for a process without a terminal. */
  resize(execId: string, columns: number, rows: number): void {
    if (execId) check(this.#exec(execId).record, 'resize');
    else check(this.record, 'resize');
    this.#process(execId).stdio?.resize(columns, rows);
  }

  closeStdin(execId: string): void {
    const live = this.#process(execId);
    live.record.stdinClosed = true;
    live.stdio?.closeStdin();
  }

  /** @param connectedAt when who asks has connected, by performance.now() */
  pids(connectedAt: number): Promise<ContainerPid[]> {
    return pidsOf(this.#parts, connectedAt);
  }

  /** What is going on in it, for the state dump. */
  describe(): ContainerSnapshot {
    const { record, init, execs, exits } = this.#parts;
    return {
      record,
      activeExecs: exits.activeExecs,
      init: snapshot(init, this.#serial),
      execs: new Map([...execs].map(([id, { process, serial }]) => [id, snapshot(process, serial)])),
    };
  }

  #process(execId: string): LiveProcess {
    return execId ? this.#exec(execId).process : this.#parts.init;
  }

  /** @throws NotFound */
  #exec(execId: string): LiveExec {
    const exec = this.#parts.execs.get(execId);
    if (!exec) throw notFound(`process does not exist ${execId}`);
    return exec;
  }
}

/** What a process has besides its record, for the state dump. */
function snapshot(process: LiveProcess, serial: Serial): ProcessSnapshot {
  return {
    waiters: process.waiting,
    isHeld: process.isHeld,
    operations: serial.entries,
    stdio: process.stdio?.describe(),
  };
}
