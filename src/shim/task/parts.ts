import type { Bundle } from '../../oci/bundle.js';
import type { TaskEvents } from '../events/task-events.js';
import type { ContainerRecord, ExecRecord } from '../record/record.js';
import type { BreakOff } from './cancellation.js';
import type { ContainerRuntime } from './container-runtime.js';
import type { ShimContext } from './context.js';
import type { ExitOrder } from './exit-order.js';
import type { Host } from './host.js';
import type { MemoryWatch } from './memory.js';
import type { LiveProcess } from './process.js';
import type { Serial } from './queue.js';

/** What makes up one container. What is done with it takes those of them that it needs. */
export interface Parts {
  readonly record: ContainerRecord;
  readonly shim: ShimContext;
  readonly host: Host;
  readonly bundle: Bundle;
  readonly events: TaskEvents;
  readonly runtime: ContainerRuntime;
  readonly init: LiveProcess;
  /** By id. */
  readonly execs: Map<string, LiveExec>;
  readonly memory: MemoryWatch;
  readonly exits: ExitOrder;
}

/** An exec, and what is going on with it. */
export interface LiveExec {
  readonly record: ExecRecord;
  readonly process: LiveProcess;
  /** Start and Delete of one exec don't overlap; those of different execs do. */
  readonly serial: Serial;
  /** While it is being started: when that is over, and what breaks it off. */
  starting?: { readonly over: Promise<void>; readonly breakOff: BreakOff } | undefined;
}

/** Does what must not keep the rest from being done; an error is logged, as that of the operation that `what` names. */
export function quietly({ shim, record }: Pick<Parts, 'shim' | 'record'>, what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    shim.log.error(`${what} failed`, { id: record.id, error });
  }
}
