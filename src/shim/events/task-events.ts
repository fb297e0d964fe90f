/** The events of tasks, by name (contract §4.1). */
import { containerd } from '../../api/gen/api.js';
import { timestamp } from '../../api/timestamp.js';
import type { EventPublisher, QueuedEvent } from './publisher.js';
import type { ContainerRecord, ProcessRecord } from '../record/record.js';

const types = containerd.events;

/** Publishes the events of one container. Each call is one event, queued when it returns. */
export class TaskEvents {
  #record: ContainerRecord | undefined;
  #initExit: QueuedEvent | undefined;

  constructor(
    private readonly events: EventPublisher,
    private readonly containerId: string,
  ) {}

  create(record: ContainerRecord): void {
    this.#record = record;
    const { bundle, mounts, checkpoint, init } = record;
    const { stdin, stdout, stderr, terminal, pid } = init;
    this.#publish(
      'create',
      'TaskCreate',
      types.TaskCreate.encode({
        containerId: this.containerId,
        bundle,
        rootfs: mounts,
        io: { stdin, stdout, stderr, terminal },
        checkpoint,
        pid,
      }),
    );
  }

  start(pid: number): void {
    this.#publish('start', 'TaskStart', types.TaskStart.encode({ containerId: this.containerId, pid }));
  }

  /** The init's exit has been published, and the daemon that has connected then hasn't got it yet. */
  isInitExitWaiting(connectedAt: number): boolean {
    return this.#initExit !== undefined && this.events.isWaiting(this.#initExit, connectedAt);
  }

  exit(id: string, process: ProcessRecord & { state: string }): void {
    const event = this.#publish(
      'exit',
      'TaskExit',
      types.TaskExit.encode({
        containerId: this.containerId,
        id,
        pid: process.pid,
        exitStatus: process.exitStatus,
        exitedAt: timestamp(process.exitedAt),
      }),
      () => process.state === 'deleted',
    );
    if (id === this.containerId) this.#initExit = event;
  }

  delete(init: ProcessRecord): void {
    this.#publish(
      'delete',
      'TaskDelete',
      types.TaskDelete.encode({
        containerId: this.containerId,
        pid: init.pid,
        exitStatus: init.exitStatus,
        exitedAt: timestamp(init.exitedAt),
      }),
    );
  }

  oom(): void {
    this.#publish(
      'oom',
      'TaskOOM',
      types.TaskOOM.encode({ containerId: this.containerId }),
      () => this.#record?.init.state === 'deleted',
    );
  }

  execAdded(execId: string): void {
    this.#publish('exec-added', 'TaskExecAdded', types.TaskExecAdded.encode({ containerId: this.containerId, execId }));
  }

  execStarted(execId: string, pid: number): void {
    this.#publish(
      'exec-started',
      'TaskExecStarted',
      types.TaskExecStarted.encode({ containerId: this.containerId, execId, pid }),
    );
  }

  paused(): void {
    this.#publish('paused', 'TaskPaused', types.TaskPaused.encode({ containerId: this.containerId }));
  }

  resumed(): void {
    this.#publish('resumed', 'TaskResumed', types.TaskResumed.encode({ containerId: this.containerId }));
  }

  /** @param isOver for what is told again to a daemon that comes back: nobody needs it any more */
  #publish(
    topic: string,
    type: string,
    message: { finish(): Uint8Array },
    isOver?: () => boolean,
  ): QueuedEvent | undefined {
    return this.events.publish(`/tasks/${topic}`, `containerd.events.${type}`, message.finish(), isOver);
  }
}
