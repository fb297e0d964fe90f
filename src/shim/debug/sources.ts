/** What the state dump is made of, as the parts of the shim hold it. Types only: the dump's code is loaded when asked for. */
import type { CommandTotal, RunningCommand } from '../../runc/index.js';
import type { Counters } from '../observe/counters.js';
import type { EventsSnapshot } from '../events/publisher.js';
import type { Complaint } from '../observe/log.js';
import type { ContainerRecord, ShimRecord } from '../record/record.js';
import type { PendingRequest, RequestTotal } from '../observe/requests.js';
import type { SerialEntry } from '../task/queue.js';
import type { Moment } from '../observe/timeline.js';
import type { Wait } from '../observe/pending.js';

/** A process of a container, besides its record. */
export interface ProcessSnapshot {
  /** How many Wait for it. */
  readonly waiters: number;
  /** Its exit event may not be published yet, as a reply or another event comes first. */
  readonly isHeld: boolean;
  /** What changes it; the first runs, the others wait for their turn. */
  readonly operations: readonly SerialEntry[];
  /** As its kind of stdio describes itself. */
  readonly stdio: Record<string, unknown> | undefined;
}

export interface ContainerSnapshot {
  readonly record: ContainerRecord;
  readonly init: ProcessSnapshot;
  readonly execs: ReadonlyMap<string, ProcessSnapshot>;
  /** Execs that the init's exit waits for. */
  readonly activeExecs: number;
}

import type { DeathsSnapshot } from '../worker/handover.js';
import type { SleepSnapshot } from '../worker/sleep.js';

export interface Sources {
  /** The shim's, as its daemon knows it. */
  readonly pid: number;
  readonly record: ShimRecord;
  readonly counters: Readonly<Counters>;
  containers(): { creating: ContainerSnapshot[]; created: ContainerSnapshot[] };
  requests(): PendingRequest[];
  requestTotals(): ReadonlyMap<string, Readonly<RequestTotal>>;
  commands(): RunningCommand[];
  commandTotals(): ReadonlyMap<string, Readonly<CommandTotal>>;
  waits(): Wait[];
  events(): EventsSnapshot;
  orphans(): { adoptions: number[]; zombies: number[] };
  timeline(): Moment[];
  log(): { complaints: readonly Complaint[]; dropped: number };
  connections(): number;
  sleep(): SleepSnapshot;
  deaths(): DeathsSnapshot;
  /** Processor time that the shim's workers have used. */
  cpuSeconds(): number;
  /** True when the end of this process will be noticed. */
  isWatched(pid: number): boolean;
}
