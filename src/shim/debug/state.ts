/** The state dump: everything one needs to know to say why a shim, or a client of it, is stuck. */
import { REVISION, VERSION } from '../observe/version.js';
import { describeContainer, type ContainerState } from './containers.js';
import { measure, type Metrics } from './metrics.js';
import { inspect, type ProcessInfo } from './procfs.js';
import type { DeathsSnapshot } from '../worker/handover.js';
import type { SleepSnapshot } from '../worker/sleep.js';
import type { Sources } from './sources.js';
import { Reasons, type Reason } from './reasons.js';
import type { Moment } from '../observe/timeline.js';

/** Changes with any change of a key's meaning; new keys may come without. */
export const FORMAT = 1;

export interface State {
  format: number;
  version: string;
  revision: string;
  node: string;
  pid: number;
  namespace: string;
  /** The container it was started for; others of the group are listed too. */
  id: string;
  address: string;
  startedAt: string;
  uptimeSeconds: number;
  containers: ContainerState[];
  requests: RequestState[];
  runtimeCommands: CommandState[];
  /** What is waited for besides: on account of a request or not. */
  waits: Reason[];
  events: EventsState;
  orphans: {
    /** How long each runtime command that may bring a pid has been under way: unknown zombies are kept for it. */
    adoptionAgesMs: number[];
    zombies: number[];
  };
  /** When what happened: the first moments of this shim, and the last. */
  timeline: Moment[];
  connections: number;
  /** How often it has slept, and why it is awake. */
  sleep: SleepSnapshot;
  /** How often a worker has ended without a word, when, and while it did what. */
  deaths: DeathsSnapshot;
  openDescriptors: number;
  /** The last warnings and errors of the shim, oldest first. */
  recentErrors: { time: string; level: string; text: string }[];
  metrics: Metrics;
}

export interface RequestState {
  method: string;
  container: string;
  /** Absent for the init. */
  exec?: string;
  ageMs: number;
  /** How long the client goes on waiting; negative when it has given up; absent when it set no limit. */
  deadlineInMs?: number;
  /** The client has hung up; what was begun goes on. */
  abandoned: boolean;
  service: string;
  /** Who asks. */
  client?: { pid: number; connection: number };
  /** Empty when it runs at this very moment. */
  waitsFor: Reason[];
}

export interface CommandState {
  name: string;
  container?: string;
  exec?: string;
  pid: number;
  ageMs: number;
  argv: readonly string[];
  /** The process and its children, hooks for instance, as the kernel has them. */
  process?: ProcessInfo;
}

export interface EventsState {
  address: string;
  connected: boolean;
  queued: number;
  sent: number;
  /** Sent again to a daemon that has come back. */
  repeated: number;
  retried: number;
  dropped: number;
  /** Of the event that is being sent, and all others wait for. */
  head?: { topic: string; ageMs: number };
  sender: { doing: string; ageMs: number };
  lastError?: { text: string; ageMs: number };
}

/** The state at this moment. Reads memory and /proc only: nothing that a hung runtime or daemon could hold up. */
export async function takeState(sources: Sources): Promise<State> {
  // First, as it takes a few milliseconds: what follows is of one moment.
  const metrics = await measure(sources);
  const now = Date.now();
  const { record } = sources;
  const { creating, created } = sources.containers();
  const reasons = new Reasons(sources, [...creating, ...created], now);
  return {
    format: FORMAT,
    version: VERSION,
    revision: REVISION,
    node: process.version,
    pid: sources.pid,
    namespace: record.namespace,
    id: record.id,
    address: record.address,
    startedAt: new Date(record.startedAt).toISOString(),
    uptimeSeconds: metrics.uptimeSeconds,
    containers: [
      ...creating.map((one) => describeContainer(one, sources, reasons)),
      ...created.map((one) => describeContainer(one, sources, reasons)),
    ],
    requests: sources.requests().map((request) => {
      const {
        method,
        id,
        execId,
        context: { service, started, deadline, answered, peer, connection },
      } = request;
      return {
        method,
        container: id,
        ...(execId ? { exec: execId } : {}),
        ageMs: Math.round(now - started),
        ...(deadline === undefined ? {} : { deadlineInMs: Math.round(deadline - now) }),
        abandoned: answered,
        service,
        ...(peer ? { client: { pid: peer.pid, connection: connection.id } } : {}),
        waitsFor: reasons.of(request),
      };
    }),
    runtimeCommands: sources.commands().map(({ name, container, exec, pid, startedAt, argv }) => {
      const process = inspect(pid);
      return {
        name,
        ...(container === undefined ? {} : { container }),
        ...(exec === undefined ? {} : { exec }),
        pid,
        ageMs: now - startedAt,
        argv,
        ...(process ? { process } : {}),
      };
    }),
    waits: reasons.all(),
    events: describeEvents(sources, now),
    orphans: {
      adoptionAgesMs: sources.orphans().adoptions.map((since) => now - since),
      zombies: sources.orphans().zombies,
    },
    timeline: sources.timeline(),
    connections: sources.connections(),
    sleep: sources.sleep(),
    deaths: sources.deaths(),
    openDescriptors: metrics.openDescriptors,
    recentErrors: sources
      .log()
      .complaints.map(({ time, level, text }) => ({ time: new Date(time).toISOString(), level, text })),
    metrics,
  };
}

function describeEvents(sources: Sources, now: number): EventsState {
  const { head, sender, lastError, ...events } = sources.events();
  return {
    ...events,
    ...(head ? { head: { topic: head.topic, ageMs: now - head.time } } : {}),
    sender: { doing: sender.doing, ageMs: now - sender.since },
    ...(lastError ? { lastError: { text: lastError.text, ageMs: now - lastError.time } } : {}),
  };
}
