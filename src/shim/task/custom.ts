import type { ContainerdTaskV2Task } from '../../api/gen/services.js';
import type { RuntimePort } from '../../runc/index.js';
import type { Handlers } from '../../ttrpc/index.js';
import type { ContainerRecord } from '../record/record.js';
import type { Leaving } from '../worker/leaving.js';

/** The Task service, all of it. */
export type TaskHandlers = Required<Handlers<typeof ContainerdTaskV2Task>>;

/** What a shim of somebody else's making does in its own way; see framework/. */
export interface Custom {
  /** In place of runc; its calls that are under way end when the signal aborts. */
  runtime?(record: ContainerRecord, signal: AbortSignal): RuntimePort;
  /** False when the init shares the shim's cgroup, which says nothing about the container. */
  hasCgroup?(pid: number): boolean;
  /** Why the shim never sleeps; undefined where it may. */
  readonly staysAwake?: string | undefined;
  /** What there is to know of a container besides its record: plain data. @throws CannotRest */
  rest?(record: ContainerRecord, leaving: Leaving): unknown;
  /** Learns it again, in another process, before anything else is asked of the container. */
  resume?(record: ContainerRecord, left: unknown): void;
  /** Frees what is left of a create whose process ended in the middle of it. */
  undo?(record: ContainerRecord): Promise<void>;
  /** The Task service around ours. Called once, just before the shim serves. */
  handlers?(inner: TaskHandlers): TaskHandlers;
}
