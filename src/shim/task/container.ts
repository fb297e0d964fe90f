/** One container: its init, its execs, its cgroup and rootfs, and the order of its events. */
import { closeSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { alreadyExists, failedPrecondition, invalidArgument, notFound, unknown } from '../../api/errdefs.js';
import { Bundle, removeFile, tryReadPidFile } from '../../oci/bundle.js';
import { cgroupMounts, type CgroupMount } from '../../oci/cgroup-mounts.js';
import { parseExact } from '../../oci/json.js';
import type { Process } from '../../oci/spec.js';
import { isAnothers, type CheckpointOptions, type ProcessIo, type RuntimePort } from '../../runc/index.js';
import { expectMigration, isChild, openPidfd, realtimeMillis, signalPidfd, type ExitStatus } from '../../sys/index.js';
import { Code } from '../../ttrpc/status.js';
import { BreakOff } from './cancellation.js';
import { OomWatch } from '../cgroup/oom.js';
import { cgroupsOf } from '../cgroup/paths.js';
import { processesIn } from '../cgroup/processes.js';
import { cgroupsThere, removeCgroups } from '../cgroup/remove.js';
import type { ShimContext } from './context.js';
import { counters } from '../observe/counters.js';
import type { ContainerSnapshot, ProcessSnapshot } from '../debug/sources.js';
import { encodeDeleteResponse } from '../program/delete-response.js';
import { LiveProcess } from './process.js';
import { check, isOver, move } from '../record/states.js';
import type { ContainerRecord, ExecRecord, ProcessRecord } from '../record/record.js';
import { mountRootfs, unmountRootfs } from '../rootfs/rootfs.js';
import { isUnknownContainer, killFailure, runtimeFailure } from '../runtime/errors.js';
import { OciRuntime } from '../runtime/oci.js';
import { Serial } from './queue.js';
import { openBothEnds } from '../stdio/fifo.js';
import { checkTargets, openStdio, type Stdio } from '../stdio/index.js';
import { TaskEvents } from '../events/task-events.js';
import { waitingFor } from '../observe/pending.js';

/** How long Delete waits for output that is still being copied (contract appendix B). */
const DRAIN_MS = 10_000;
const SIGKILL = 9;
/** How long a command of the runtime may go on once the init has ended: nothing that it could still do is of use. */
const AFTER_EXIT_MS = 5_000;
/** How long the runtime may go on starting an exec that is to be killed. */
const STARTING_MS = 5_000;
/** How long the runtime may take to clean up after an init that has ended. */
const CLEAN_UP_MS = 30_000;

/** An exec, and what is going on with it. */
interface LiveExec {
  readonly record: ExecRecord;
  readonly process: LiveProcess;
  /** Start and Delete of one exec don't overlap; those of different execs do. */
  readonly serial: Serial;
  /** While it is being started: when that is over, and what breaks it off. */
  starting?: { readonly over: Promise<void>; readonly breakOff: BreakOff } | undefined;
}

export class Container {
  readonly #init: LiveProcess;
  readonly #execs = new Map<string, LiveExec>();
  /** State-changing operations of the init, one at a time. Reading never waits for them. */
  readonly #serial = new Serial();
  /** For what only concerns a container that lives: ended with it, however the runtime hangs. */
  readonly #runtime: RuntimePort;
  readonly #over = new AbortController();
  readonly #bundle: Bundle;
  readonly #events: TaskEvents;
  #oom: OomWatch | undefined;
  #initIsGone: () => void = () => undefined;
  readonly #initGone = new Promise<void>((resolve) => (this.#initIsGone = resolve));
  /** The runtime has a container of this name that is not this one's doing. */
  #foreign = false;
  /** Cgroups of its path that were there before it; undefined when nobody has looked, or nothing has been made. */
  #cgroupsBefore: readonly string[] | undefined;
  /** The runtime has been asked to make it. */
  #isAsked = false;
  /** Execs started, or being started, whose exit has not been told. */
  #activeExecs = 0;
  #execsIdle: (() => void)[] = [];

  constructor(
    readonly record: ContainerRecord,
    private readonly shim: ShimContext,
  ) {
    this.#bundle = new Bundle(record.bundle);
    this.#runtime = this.#runtimeUntil(this.#over.signal);
    this.#init = new LiveProcess(record.init);
    this.#events = new TaskEvents(shim.events, record.id);
  }

  /** The container's runtime, its commands killed when the signal aborts. */
  #runtimeUntil(signal: AbortSignal): RuntimePort {
    const { record, shim } = this;
    return shim.custom?.runtime?.(record, signal) ?? new OciRuntime(record.runtime, this.#bundle.log, signal);
  }

  /** For cleaning up, which outlives the container, but not by much. */
  #cleaner(): RuntimePort {
    return this.#runtimeUntil(AbortSignal.timeout(CLEAN_UP_MS));
  }

  // ---- create and start ------------------------------------------------------------------------------------------

  /** Mounts the rootfs, opens stdio, and lets the runtime create the container. On failure nothing is left. */
  async create(): Promise<void> {
    const { record } = this;
    this.#expectMigration();
    this.#bundle.removeEnd();
    await mountRootfs(record.mounts, this.#bundle.rootfs);
    this.#init.hold();
    try {
      const stdio = await this.#openStdio(this.#init, record.id);
      if (!record.checkpoint) await this.#createInit(stdio);
      move(record, record.checkpoint ? 'created from checkpoint' : 'created');
      this.#events.create(record);
    } catch (error) {
      await this.#undoCreate();
      throw error;
    } finally {
      this.#init.release();
    }
  }

  async #createInit(stdio: Stdio): Promise<void> {
    const { id, bundle } = this.record;
    this.#lookForForeign();
    let mounts: CgroupMount[] | undefined;
    await this.shim.orphans.adopting(async () => {
      this.#isAsked = true;
      const creating = this.#runtime
        .create({ container: id, bundle, pidFile: this.#bundle.initPid, io: ioOf(stdio) })
        .catch((error: unknown) => {
          throw runtimeFailure('OCI runtime create failed', error);
        });
      // The runtime takes long enough for all this.
      this.#quietly('preparing for what comes next', () => {
        mounts = cgroupMounts();
        // The runtime is not that far yet.
        this.#cgroupsBefore = cgroupsThere(this.record.cgroupsPath, mounts);
        this.shim.events.prepare();
      });
      const pid = await creating;
      checkChild('OCI runtime create failed', pid);
      this.#watchInit(pid);
    });
    // Nobody waits for this, but it comes before any further request does.
    setImmediate(() => this.#loadCgroup(mounts));
    await stdio.attach();
  }

  /** The error that led here is what the caller is told; what goes wrong with undoing is for the log. */
  async #undoCreate(): Promise<void> {
    const { id, init, mounts } = this.record;
    const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.shim.log.warn(`undoing a failed create: ${what}`, { id, error });
      }
    };
    // A runtime undoes its own failures, unless it was killed or told us nonsense.
    if (init.pid > 0 || (this.#isAsked && !this.#foreign && this.#isKnownToRuntime() && !this.#isAnothers()))
      await attempt('delete', () => this.#cleaner().delete(id, { force: true }));
    // One that was killed early has not written down what it had made by then.
    const before = this.#cgroupsBefore;
    if (before && !this.#foreign) await attempt('remove cgroups', () => removeCgroups(this.record.cgroupsPath, before));
    move(this.record, 'undone');
    this.#oom?.stop();
    await attempt('close stdio', async () => this.#init.stdio?.close());
    if (mounts.length > 0) await attempt('unmount', () => unmountRootfs(this.#bundle.rootfs, { lazy: true }));
  }

  /** Before the runtime is asked to make it: what is there then is not to be removed, by `delete` either. */
  #lookForForeign(): void {
    this.#foreign = this.#isKnownToRuntime();
    if (this.#foreign) this.#bundle.writeForeign();
  }

  #isAnothers(): boolean {
    return isAnothers(this.#stateDirectory, this.record.bundle);
  }

  /** Runtimes keep a directory for each container. */
  #isKnownToRuntime(): boolean {
    return existsSync(this.#stateDirectory);
  }

  get #stateDirectory(): string {
    return join(this.record.runtime.root, this.record.id);
  }

  /** The client has given up on a create that is under way: it is undone as soon as may be, and nobody is told of it. */
  abandon(): void {
    move(this.record, 'give up');
    this.#over.abort();
  }

  /** Starts the init, or restores it from its checkpoint. Its start is told before its exit. */
  start(): Promise<number> {
    return this.#serial.run(async () => {
      const { record } = this;
      const { init } = record;
      check(record, 'start');
      this.#init.hold();
      try {
        this.#init.stdio?.beforeStart();
        if (init.state === 'restorable') await this.#restore();
        else {
          await this.#runtime.start(this.record.id, this.#initGone).catch((error: unknown) => {
            throw runtimeFailure('OCI runtime start failed', error);
          });
          move(record, 'start');
        }
        this.#events.start(init.pid);
        return init.pid;
      } finally {
        this.#init.release();
      }
    });
  }

  async #restore(): Promise<void> {
    const { id, bundle, checkpoint, parentCheckpoint, runtime } = this.record;
    const stdio = this.#init.stdio!;
    move(this.record, 'start');
    this.#lookForForeign();
    this.#expectMigration();
    // criu opens stdin anew, and would wait for a client that has written and left.
    const stdin = this.record.init.terminal ? undefined : openBothEnds(this.record.init.stdin);
    await this.shim.orphans
      .adopting(async () => {
        const pid = await this.#runtime
          .restore(
            { container: id, bundle, pidFile: this.#bundle.initPid, io: ioOf(stdio) },
            {
              imagePath: checkpoint,
              workPath: runtime.criuWorkPath || this.#bundle.work,
              parentPath: parentCheckpoint,
            },
          )
          .catch((error: unknown) => {
            throw runtimeFailure('OCI runtime restore failed', error);
          });
        checkChild('OCI runtime restore failed', pid);
        this.#watchInit(pid);
      })
      .finally(() => {
        if (stdin !== undefined) closeSync(stdin);
      });
    this.#loadCgroup();
    await stdio.attach();
    move(this.record, 'restored');
  }

  #watchInit(pid: number): void {
    this.#init.watch(
      pid,
      (status) => this.#initEnded(status),
      () => {
        void this.#tellInitExit().catch((error: unknown) =>
          this.shim.log.error('telling an exit failed', { id: this.record.id, error }),
        );
      },
    );
  }

  /** Stats and out-of-memory need it; a container without them is still a container. */
  #loadCgroup(mounts?: CgroupMount[]): void {
    const { record } = this;
    if (record.init.state === 'abandoned' || this.shim.custom?.hasCgroup?.(record.init.pid) === false) return;
    try {
      record.cgroup = cgroupsOf(record.init.pid, mounts);
      if (record.cgroup) this.#oom = OomWatch.start(record.cgroup, () => this.#init.whenFree(() => this.#events.oom()));
    } catch (error) {
      // An init that is dead already has no cgroup any more.
      this.shim.log[record.init.exitedAt !== undefined ? 'debug' : 'warn']('cgroup cannot be loaded', {
        id: record.id,
        error,
      });
    }
  }

  /** The runtime is about to move a process into the container's cgroup. */
  #expectMigration(): void {
    // A zygote does nothing that others could feel, and will be moved itself.
    if (!this.shim.isRehearsal) expectMigration();
  }

  async #openStdio(live: LiveProcess, id: string): Promise<Stdio> {
    const { ioUid: uid, ioGid: gid } = this.record.runtime;
    const { stdin, stdout, stderr, terminal, label } = live.record;
    live.stdio = await openStdio(
      {
        stdin,
        stdout,
        stderr,
        terminal,
        label,
        uid,
        gid,
        id,
        namespace: this.shim.record.namespace,
        onDeath: this.record.onLogDeath,
      },
      (text) => this.shim.log.warn(text),
    );
    this.shim.log.debug('stdio is open', { id: this.record.id, process: id, ...live.stdio.describe() });
    // CloseIO may come before there is anything to close, even while it is being opened: the process then gets what the
    // client wrote, and the end.
    if (live.record.stdinClosed) live.stdio.closeStdin();
    return live.stdio;
  }

  // ---- the init's end --------------------------------------------------------------------------------------------

  /** At once: no exec may start any more, and the truth goes to disk before anybody is told. */
  #initEnded(status: ExitStatus): void {
    const { record } = this;
    this.#initIsGone();
    setTimeout(() => this.#over.abort(), AFTER_EXIT_MS).unref();
    record.init.exitStatus = status;
    record.init.exitedAt = realtimeMillis();
    if (isOver(record.init.state)) return;
    try {
      this.#bundle.writeExit({ pid: record.init.pid, status, exitedAt: record.init.exitedAt });
    } catch (error) {
      this.shim.log.error('the exit status could not be kept on disk', { id: record.id, error });
    }
  }

  /** The last exit of a container: after its execs', whatever it takes to end them (contract §4.5). */
  async #tellInitExit(): Promise<void> {
    const { record } = this;
    if (record.init.state === 'abandoned') return;
    const quietly = (what: string) => (error: unknown) => this.shim.log.warn(what, { id: record.id, error });
    if (record.sharesPidNamespace && record.init.state !== 'deleted')
      await this.#killAll().catch(quietly('processes left by the init could not be killed'));
    if (record.sharesPidNamespace) this.#killExecs();
    await this.#untilExecsEnded();
    if (record.init.state === 'paused')
      await this.#cleaner().resume(record.id).catch(quietly('a paused container that ended could not be resumed'));
    this.#quietly('the last look for want of memory', () => this.#oom?.stop());
    const reading = this.#init.stdio?.beingRead();
    if (reading) await reading.catch(quietly('looking for unread output'));
    move(record, 'stopped');
    this.#quietly('finishing the output', () => this.#init.stdio?.processExited());
    this.#init.wake();
    this.#events.exit(record.id, record.init);
  }

  /** What goes wrong on the way must not keep an exit from being told. */
  #quietly(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.shim.log.error(`${what} failed`, { id: this.record.id, error });
    }
  }

  async #killAll(): Promise<void> {
    try {
      await this.#cleaner().kill(this.record.id, SIGKILL, { all: true });
    } catch (error) {
      // Nothing was left to kill.
      if (killFailure(error).code !== Code.NotFound) throw error;
    }
  }

  /** Without its init an exec must not run on, whatever the runtime made of being told so. */
  #killExecs(): void {
    for (const { record } of this.#execs.values()) this.#killNow(record);
  }

  /** Kills a process that runs; one that has just ended is as good. */
  #killNow({ pid, exitedAt }: Pick<ProcessRecord, 'pid' | 'exitedAt'>): void {
    if (pid === 0 || exitedAt !== undefined) return;
    try {
      this.#signal(pid, SIGKILL);
    } catch (error) {
      this.shim.log.debug('a process that was to be killed is gone', { id: this.record.id, pid, error });
    }
  }

  #untilExecsEnded(): Promise<void> {
    return this.#activeExecs === 0 ? Promise.resolve() : new Promise((resolve) => this.#execsIdle.push(resolve));
  }

  #execEnded(): void {
    if (--this.#activeExecs > 0) return;
    for (const wake of this.#execsIdle.splice(0)) wake();
  }

  // ---- delete ----------------------------------------------------------------------------------------------------

  /** Removes the container. It stays, and may be deleted again, when something could not be cleaned up. */
  delete(): Promise<void> {
    return this.#serial.run(async () => {
      const { record } = this;
      const { init } = record;
      check(record, 'delete');
      if (!(await this.#drained(this.#init, record.id)))
        this.shim.log.warn('output was still being copied at delete', { id: record.id });
      let failure: unknown;
      if (!this.#removedEnded() && !this.#isAnothers()) {
        await this.#cleaner()
          .delete(record.id)
          .catch((error: unknown) => {
            if (!isUnknownContainer(error)) failure = runtimeFailure('failed to delete task', error);
          });
      }
      for (const exec of this.#execs.values()) await exec.process.stdio?.close();
      await this.#init.stdio?.close();
      if (record.mounts.length > 0) {
        await unmountRootfs(this.#bundle.rootfs).catch((error: unknown) => {
          failure ??= unknown(`failed rootfs umount: ${(error as Error).message}`, error);
        });
      }
      if (failure !== undefined) throw failure as Error;
      move(record, 'delete');
      this.#oom?.stop();
      // A created container's init is being killed right now, and not only if the runtime does what it says; nobody waits
      // for a container that was never started to stop.
      if (init.exitedAt === undefined) {
        this.#killNow(init);
        this.#init.wake();
      }
      for (const exec of this.#execs.values()) exec.process.wake();
      this.#events.delete(init);
      // The last thing, as it says that there is nothing left to do. A runtime that only says so leaves the rest to `delete`.
      if (this.#isKnownToRuntime()) return;
      const { pid, exitStatus, exitedAt } = init;
      this.#quietly('leaving word of the deletion', () =>
        this.#bundle.writeDeleted(
          encodeDeleteResponse(exitedAt === undefined ? { pid } : { pid, status: exitStatus, exitedAt }),
        ),
      );
    });
  }

  /** What goes wrong with it goes wrong with the runtime's own deletion too, which has the words for it. */
  #removedEnded(): boolean {
    const { id, init } = this.record;
    if (init.exitedAt === undefined) return false;
    try {
      return this.#runtime.removeEnded?.(id, init.pid) ?? false;
    } catch (error) {
      this.shim.log.debug('the runtime is to delete what could not be removed without it', { id, error });
      return false;
    }
  }

  // ---- execs -----------------------------------------------------------------------------------------------------

  /** Registers an exec; nothing is run. */
  addExec(exec: ExecRecord): void {
    check(this.record, 'exec');
    if (this.#execs.has(exec.id)) throw alreadyExists(`id ${exec.id}`);
    checkTargets({ ...exec, onDeath: this.record.onLogDeath });
    // After the reply.
    setImmediate(() => this.#expectMigration());
    this.record.execs[exec.id] = exec;
    this.#execs.set(exec.id, { record: exec, process: new LiveProcess(exec), serial: new Serial() });
    this.#events.execAdded(exec.id);
  }

  /** @param deadline when it passes, what the runtime is still doing for it is broken off: nobody waits for it any more */
  startExec(execId: string, deadline?: AbortSignal): Promise<number> {
    const exec = this.#exec(execId);
    return exec.serial.run(async () => {
      const { record, process } = exec;
      check(record, 'start');
      if (this.record.init.exitedAt !== undefined)
        throw failedPrecondition(`container ${this.record.id} init process is not running`);
      this.#activeExecs++;
      process.hold();
      // A client that only hangs up, as a daemon that restarts, may still want it.
      const breakOff = new BreakOff()
        .when(this.#over.signal)
        .when(deadline, (reason) => (reason as Error).name === 'TimeoutError');
      let over: () => void = () => undefined;
      exec.starting = { over: new Promise((resolve) => (over = resolve)), breakOff };
      try {
        await this.#runExec(exec, breakOff.signal);
        move(record, 'start');
        counters.execsStarted++;
        this.#events.execStarted(execId, record.pid);
        return record.pid;
      } catch (error) {
        await this.#execStartFailed(exec);
        throw error;
      } finally {
        process.release();
        breakOff.release();
        exec.starting = undefined;
        over();
      }
    });
  }

  async #runExec({ record, process }: LiveExec, signal: AbortSignal): Promise<void> {
    const stdio = await this.#openStdio(process, record.id);
    const spec: Process = { ...(parseExact(record.spec) as Process), terminal: record.terminal };
    stdio.beforeStart();
    await this.shim.orphans.adopting(async () => {
      const running = this.#runtime
        .exec({
          container: this.record.id,
          exec: record.id,
          bundle: this.record.bundle,
          pidFile: this.#bundle.execPid(record.id),
          spec,
          io: ioOf(stdio),
          signal,
        })
        .catch((error: unknown) => {
          // A runtime that was killed may have made the process by then, which must not run on unseen.
          const stray = tryReadPidFile(this.#bundle.execPid(record.id));
          if (stray !== undefined && isChild(stray)) this.#killNow({ pid: stray });
          throw runtimeFailure('OCI runtime exec failed', error);
        });
      // The client may have taken its time since it added the exec.
      this.#expectMigration();
      const pid = await running;
      checkChild('OCI runtime exec failed', pid);
      process.watch(
        pid,
        (status) => {
          if (record.state === 'failed' || record.state === 'deleted') return;
          record.exitStatus = status;
          record.exitedAt = realtimeMillis();
        },
        () => this.#tellExecExit(record, process),
      );
      // It came too late to be killed with the others (see #tellInitExit).
      if (this.record.init.exitedAt !== undefined && this.record.sharesPidNamespace) this.#killNow(record);
    });
    await stdio.attach();
  }

  #tellExecExit(record: ExecRecord, process: LiveProcess): void {
    // It failed to start, and may have been deleted since.
    if (record.state !== 'running') return;
    this.#quietly('looking for want of memory', () => this.#oom?.look());
    const reading = process.stdio?.beingRead();
    const tell = (): void => this.#execStopped(record, process);
    if (reading) reading.then(tell, tell);
    else tell();
  }

  #execStopped(record: ExecRecord, process: LiveProcess): void {
    move(record, 'stopped');
    counters.execsFinished++;
    this.#quietly('finishing the output', () => process.stdio?.processExited());
    process.wake();
    this.#events.exit(record.id, record);
    this.#execEnded();
  }

  /** It stays as created, with no pid, and those who wait for it are let go with status 0 (contract §3.5). */
  async #execStartFailed({ record, process }: LiveExec): Promise<void> {
    move(record, 'start failed');
    // The runtime had started it, but its terminal never came: it must not run on unseen.
    this.#killNow(record);
    record.pid = 0;
    record.exitStatus = 0;
    delete record.exitedAt;
    try {
      await process.stdio?.close();
    } finally {
      process.stdio = undefined;
      process.wake();
      this.#execEnded();
    }
  }

  /** False when output is still being copied after all the time that there is. */
  #drained(process: LiveProcess, id: string): Promise<boolean> {
    return waitingFor('output', id, process.stdio?.drained(DRAIN_MS) ?? Promise.resolve(true));
  }

  /** Removes an exec that has ended or was never started. */
  async deleteExec(execId: string): Promise<ExecRecord> {
    const exec = this.#exec(execId);
    return exec.serial.run(async () => {
      const { record, process } = exec;
      check(record, 'delete');
      if (!(await this.#drained(process, execId)))
        this.shim.log.warn('output was still being copied at delete', { id: this.record.id, exec: execId });
      await process.stdio?.close();
      removeFile(this.#bundle.execPid(execId));
      move(record, 'delete');
      process.wake();
      this.#execs.delete(execId);
      delete this.record.execs[execId];
      return record;
    });
  }

  // ---- signals, freezing, limits ---------------------------------------------------------------------------------

  /** Not queued behind a start: a start that hangs must be killable. */
  async kill(signal: number, all: boolean): Promise<void> {
    const { id, init } = this.record;
    check(this.record, 'kill');
    // The runtime would only say the same, at the cost of a process.
    if (init.state === 'stopped' && !all) throw notFound('process already finished');
    // Not restored yet: of that name there can only be somebody else's.
    if (init.pid === 0 && this.#isAnothers()) throw notFound('no such container');
    // The end of its init is the end of its pid namespace. runc up to 1.1 signals the cgroup instead, in which there may be
    // another daemon's container of the same name; and thaws it, which a paused one needs.
    const isEnough = signal === SIGKILL && !this.record.sharesPidNamespace && init.state !== 'paused';
    await this.#cleaner()
      .kill(id, signal, { all: all && !isEnough })
      .catch((error: unknown) => {
        throw killFailure(error);
      });
  }

  /** An exec that is being started is signalled when that is done; SIGKILL ends a start that hangs, too. */
  async killExec(execId: string, signal: number): Promise<void> {
    const { record, starting } = this.#exec(execId);
    if (starting) {
      const timer = signal === SIGKILL ? setTimeout(() => starting.breakOff.now(), STARTING_MS) : undefined;
      await starting.over;
      clearTimeout(timer);
      if (signal === SIGKILL && starting.breakOff.signal.aborted) return;
    }
    check(record, 'kill');
    if (record.exitedAt !== undefined) throw notFound('exec kill error: process already finished');
    this.#signal(record.pid, signal);
  }

  #signal(pid: number, signal: number): void {
    let pidfd: number | undefined;
    try {
      // It is not collected before its exit is seen, so the pid is still its own.
      pidfd = openPidfd(pid);
      signalPidfd(pidfd, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ESRCH') throw notFound('exec kill error: process already finished', error);
      if (code === 'EINVAL') throw invalidArgument(`exec kill error: signal ${signal}`, error);
      throw unknown(`exec kill error: ${(error as Error).message}`, error);
    } finally {
      if (pidfd !== undefined) closeSync(pidfd);
    }
  }

  pause(): Promise<void> {
    return this.#serial.run(async () => {
      const { record } = this;
      move(record, 'pause');
      try {
        await this.#runtime.pause(record.id);
      } catch (error) {
        move(record, 'pause failed');
        throw runtimeFailure('OCI runtime pause failed', error);
      }
      move(record, 'paused');
      this.#events.paused();
    });
  }

  resume(): Promise<void> {
    return this.#serial.run(async () => {
      const { record } = this;
      check(record, 'resume');
      await this.#runtime.resume(record.id).catch((error: unknown) => {
        throw runtimeFailure('OCI runtime resume failed', error);
      });
      // It may have ended meanwhile.
      move(record, 'resume');
      this.#events.resumed();
    });
  }

  update(resources: Uint8Array): Promise<void> {
    return this.#serial.run(async () => {
      check(this.record, 'update');
      await this.#runtime.update(this.record.id, resources).catch((error: unknown) => {
        throw unknown((error as Error).message, error);
      });
    });
  }

  checkpoint(options: Omit<CheckpointOptions, 'workPath'> & { workPath: string | undefined }): Promise<void> {
    return this.#serial.run(async () => {
      check(this.record, 'checkpoint');
      const { id, bundle, init, cgroup } = this.record;
      const ownWork = join(this.#bundle.work, 'criu-work');
      const workPath = options.workPath || ownWork;
      // What the container's end leaves to do is little, but it must be done: without it there is no checkpoint.
      const late = new AbortController();
      this.#over.signal.addEventListener('abort', () => setTimeout(() => late.abort(), CLEAN_UP_MS).unref());
      try {
        // Large, and most containers never need it.
        const { takeCheckpoint } = await import('../checkpoint/index.js');
        const pids = [init.pid, ...(cgroup ? processesIn(cgroup) : [])];
        const { root } = this.record.runtime;
        await takeCheckpoint(
          { id, bundle, pids, root, runtime: this.#runtimeUntil(late.signal) },
          { ...options, workPath },
        );
      } catch (error) {
        throw this.#checkpointFailure(error, workPath);
      } finally {
        if (workPath === ownWork) rmSync(ownWork, { recursive: true, force: true });
      }
    });
  }

  /** criu's own log says why; it is kept in the bundle, as its work directory is removed. */
  #checkpointFailure(error: unknown, workPath: string): Error {
    const kept = join(this.record.bundle, 'criu-dump.log');
    try {
      this.#bundle.keepFile(join(workPath, 'dump.log'), kept);
    } catch (second) {
      this.shim.log.warn('the log of a failed checkpoint could not be kept', { id: this.record.id, error: second });
    }
    const [first = ''] = (error as Error).message.split('\n');
    return unknown(`${first} path= ${kept}`, error);
  }

  // ---- questions and small changes, answered from memory ---------------------------------------------------------

  /** The init's record, or that of one of its execs. */
  process(execId: string): ProcessRecord {
    return execId ? this.#exec(execId).record : this.record.init;
  }

  execRecord(execId: string): ExecRecord {
    return this.#exec(execId).record;
  }

  /** Resolves when the process has ended and everybody may know; with its record as it is then. */
  async wait(execId: string, signal: AbortSignal): Promise<ProcessRecord> {
    const exec = execId ? this.#exec(execId) : undefined;
    const live = exec?.process ?? this.#init;
    const over = exec
      ? exec.record.state === 'failed' || exec.record.state === 'stopped'
      : this.record.init.state === 'stopped';
    if (!over) await live.wait(signal);
    return live.record;
  }

  resize(execId: string, columns: number, rows: number): void {
    if (execId) {
      const { record, process } = this.#exec(execId);
      check(record, 'resize');
      process.stdio?.resize(columns, rows);
    } else {
      check(this.record, 'resize');
      this.#init.stdio?.resize(columns, rows);
    }
  }

  closeStdin(execId: string): void {
    const live = execId ? this.#exec(execId).process : this.#init;
    live.record.stdinClosed = true;
    live.stdio?.closeStdin();
  }

  /**
   * Pids of all its processes, and which exec each is.
   *
   * @param connectedAt when who asks has connected, by performance.now()
   */
  async pids(connectedAt: number): Promise<{ pid: number; execId: string | undefined }[]> {
    const { init, cgroup, id } = this.record;
    if (init.state === 'stopped') {
      // A daemon that restarts asks for pids before it can be told of an exit, and since 1.7 removes a task that has none,
      // status and all. So the init counts until its exit is told.
      return this.#events.isInitExitWaiting(connectedAt) ? [{ pid: init.pid, execId: undefined }] : [];
    }
    let pids = cgroup ? processesIn(cgroup) : await this.#runtime.ps(id);
    // A live container must never look empty: a daemon that restarts would take it for a leftover (contract §1.13). Nor
    // must one whose init has ended, and whose exit is about to be told.
    if (pids.length === 0 && init.pid > 0) pids = [init.pid];
    // The pid of one that has ended may be somebody else's by now.
    const running = Object.values(this.record.execs).filter(({ exitedAt }) => exitedAt === undefined);
    const execs = new Map(running.map((exec) => [exec.pid, exec.id]));
    return pids.map((pid) => ({ pid, execId: execs.get(pid) }));
  }

  /** What is going on in it, for the state dump. */
  describe(): ContainerSnapshot {
    return {
      record: this.record,
      activeExecs: this.#activeExecs,
      init: snapshot(this.#init, this.#serial),
      execs: new Map([...this.#execs].map(([id, { process, serial }]) => [id, snapshot(process, serial)])),
    };
  }

  #exec(execId: string): LiveExec {
    const exec = this.#execs.get(execId);
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

function ioOf(stdio: Stdio): ProcessIo {
  return {
    ...(stdio.given === undefined ? {} : { stdio: stdio.given }),
    ...(stdio.consoleSocket === undefined ? {} : { consoleSocket: stdio.consoleSocket }),
    onSpawn: () => stdio.handedOver(),
    printed: () => stdio.printed(),
  };
}

/** A pid that is none of our children would never be told as ended, and signals for it would hit somebody else. */
function checkChild(prefix: string, pid: number): void {
  if (!isChild(pid))
    throw unknown(`${prefix}: the runtime says that the process is ${pid}, which is none that it has started`);
}
