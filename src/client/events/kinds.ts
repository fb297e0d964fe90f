/** Task events as libcontainerd's kinds. */
import { containerd } from '../../api/full.js';
import { exitOf } from '../record.js';
import type { ContainerEvent, EventEnvelope, EventKind } from '../types/events.js';

const KINDS: Readonly<Record<string, EventKind>> = {
  '/tasks/create': 'create',
  '/tasks/start': 'start',
  '/tasks/exit': 'exit',
  '/tasks/oom': 'oom',
  '/tasks/exec-added': 'exec-added',
  '/tasks/exec-started': 'exec-started',
  '/tasks/paused': 'paused',
  '/tasks/resumed': 'resumed',
};

/** Undefined for an event that is of no container. */
export function containerEvent(envelope: EventEnvelope): ContainerEvent | undefined {
  const { containerId, execId, pid, id } = (envelope.event ?? {}) as {
    containerId?: string;
    execId?: string;
    pid?: number;
    id?: string;
  };
  if (!containerId) return undefined;
  const kind = KINDS[envelope.topic] ?? 'unknown';
  return {
    kind,
    containerId,
    processId: (kind === 'exit' ? id : execId) || containerId,
    pid: pid ?? 0,
    exit: kind === 'exit' ? exitOf(containerd.events.TaskExit.decode(envelope.raw)) : undefined,
    timestamp: envelope.timestamp,
    replayed: false,
    envelope,
  };
}
