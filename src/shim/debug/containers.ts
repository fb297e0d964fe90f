import { isOver, type ContainerRecord, type ProcessRecord } from '../record/record.js';
import type { ExecState as ExecPhase, InitState } from '../record/states.js';
import { inspect, type ProcessInfo } from './procfs.js';
import type { Reason, Reasons } from './reasons.js';
import type { ContainerSnapshot, ProcessSnapshot, Sources } from './sources.js';

export interface ProcessState {
  /** `created`, `running`, `paused`, `stopped`, …; `creating` while its create is under way. */
  state: string;
  /** 0 while unknown. */
  pid: number;
  /** As the kernel has it; absent when there is no such process any more. */
  process?: ProcessInfo;
  /** Whether its end will be noticed; false is a defect while it lives. */
  exitWatched: boolean;
  /** Absent while it has not ended. `told`: its event has been published. */
  exit?: { status: number; at: string; told: boolean };
  /** How many Wait for it. */
  waiters: number;
  terminal: boolean;
  stdin: string;
  stdout: string;
  stderr: string;
  stdinClosed: boolean;
  /** What its URIs became. */
  stdio?: Record<string, unknown>;
  /** What changes it; the first runs, the others wait for their turn. */
  operations: { method: string; ageMs: number }[];
}

export interface ExecState extends ProcessState {
  id: string;
  /** It was started once, in vain. */
  startFailed: boolean;
}

export interface ContainerState extends ProcessState {
  id: string;
  bundle: string;
  runtime: { binary: string; root: string };
  cgroup?: ContainerRecord['cgroup'];
  /** Why the event of an exit that is known has not been published. */
  exitWaitsFor?: Reason[];
  execs: ExecState[];
}

/** Of /proc, at most so many processes are looked at for one dump. */
const MOST_INSPECTED = 200;

/** What the dump calls each state. */
const states: Record<InitState | ExecPhase, string> = {
  creating: 'creating',
  unwanted: 'creating',
  abandoned: 'creating',
  created: 'created',
  restorable: 'createdCheckpoint',
  restoring: 'createdCheckpoint',
  failed: 'created',
  running: 'running',
  pausing: 'pausing',
  paused: 'paused',
  stopped: 'stopped',
  deleted: 'deleted',
};

export function describeContainer(snapshot: ContainerSnapshot, sources: Sources, reasons: Reasons): ContainerState {
  const { record } = snapshot;
  const { id, bundle, runtime, cgroup, init } = record;
  let left = MOST_INSPECTED;
  const describe = (one: ProcessRecord, its: ProcessSnapshot | undefined, isPublished: boolean) =>
    describeProcess(one, its, isPublished, sources, reasons, left-- > 0);
  const waitsFor = reasons.ofUnpublishedExit(snapshot);
  return {
    id,
    state: states[init.state],
    bundle,
    ...describe(init, snapshot.init, isOver(init)),
    runtime: { binary: runtime.binary, root: runtime.root },
    ...(cgroup ? { cgroup } : {}),
    ...(waitsFor ? { exitWaitsFor: waitsFor } : {}),
    // Neither arguments nor environment: a dump is shown to others.
    execs: Object.values(record.execs).map((exec) => ({
      id: exec.id,
      state: states[exec.state],
      startFailed: exec.state === 'failed',
      ...describe(exec, snapshot.execs.get(exec.id), exec.state === 'stopped'),
    })),
  };
}

function describeProcess(
  record: ProcessRecord,
  snapshot: ProcessSnapshot | undefined,
  isPublished: boolean,
  sources: Sources,
  reasons: Reasons,
  look: boolean,
): Omit<ProcessState, 'state'> {
  const { pid, exitedAt, exitStatus, terminal, stdinClosed } = record;
  const process = look && pid > 0 && exitedAt === undefined ? inspect(pid, 0) : undefined;
  return {
    pid,
    ...(process ? { process } : {}),
    exitWatched: sources.isWatched(pid),
    ...(exitedAt === undefined
      ? {}
      : { exit: { status: exitStatus, at: new Date(exitedAt).toISOString(), told: isPublished } }),
    waiters: snapshot?.waiters ?? 0,
    terminal,
    stdin: plain(record.stdin),
    stdout: plain(record.stdout),
    stderr: plain(record.stderr),
    stdinClosed,
    ...(snapshot?.stdio ? { stdio: snapshot.stdio } : {}),
    operations:
      snapshot?.operations.map((one) => ({
        method: one.request?.method ?? "the shim's own",
        ageMs: reasons.age(one.since),
      })) ?? [],
  };
}

/** A URI without its query, which may hold what is nobody's business. */
function plain(uri: string): string {
  return uri.includes('://') ? uri.replace(/\?[\s\S]*/, '') : uri;
}
