import type { ContainerdTaskV2Task } from '../../api/gen/services.js';
import type { RuntimePort } from '../../runc/index.js';
import type { Handlers } from '../../ttrpc/index.js';
import type { ContainerRecord } from '../record/record.js';

/** The Task service, all of it. */
export type TaskHandlers = Required<Handlers<typeof ContainerdTaskV2Task>>;

/** What a shim of somebody else's making does in its own way; see framework/. */
export interface Custom {
  /** In place of runc; its calls that are under way end when the signal aborts. */
  runtime?(record: ContainerRecord, signal: AbortSignal): RuntimePort;
  /** False when the init shares the shim's cgroup, which says nothing about the container. */
  hasCgroup?(pid: number): boolean;
  /** The Task service around ours. Called once, just before the shim serves. */
  handlers?(inner: TaskHandlers): TaskHandlers;
}
