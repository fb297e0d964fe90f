/**
 * All that a worker knows, as another goes on with it: plain data, and descriptors by their places in a list. Whoever changes what
 * stands here so that an older program can't read it any more makes the format's number (format.ts) one more, and goes on reading older ones.
 */
import { containerd } from '../../api/gen/api.js';
import type { RestingEvents } from '../events/publisher.js';
import type { FifoLogger } from '../observe/log.js';
import type { Observations, RestingObservations } from '../observe/observations.js';
import type { Bound } from '../program/listen.js';
import type { Server } from '../../ttrpc/index.js';
import type { ConnectionSocket } from '../../ttrpc/connection-socket.js';
import type { RestingContainers } from '../task/containers.js';
import type { SleepRecord } from './sleep.js';
import { CannotRest, type Found, type Leaving } from './leaving.js';

/** A Wait that has not been answered. */
interface RestingWait {
  readonly streamId: number;
  readonly service: string;
  readonly id: string;
  readonly execId: string;
  /** When its client gives up, in milliseconds since the epoch. */
  readonly deadline?: number | undefined;
}

interface Connection {
  readonly place: number;
  readonly lastStreamId: number;
  readonly begun: boolean;
  readonly waits: readonly RestingWait[];
}

/** A connection of one that may end in the middle of anything: what is under way there is in the ledger. */
interface KeptConnection {
  readonly place: number;
  readonly number: number;
}

/** How often a shim's worker has ended without a word, and what it was doing the last time. Plain data, a part of what is left. */
export interface Deaths {
  readonly times: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What was under way, in a few words. */
  readonly during: string;
}

/** For the state dump. */
export interface DeathsSnapshot extends Partial<Deaths> {
  /** Why another could not go on if it happened now; undefined when another could. */
  readonly irreplaceable: string | undefined;
}

/** What a worker leaves. */
export interface RestingShim {
  readonly format: number;
  readonly debug: boolean;
  readonly startedAt: number;
  readonly listener: Omit<Bound, 'fd'> & { readonly place: number; readonly path: string };
  readonly connections: readonly Connection[];
  /** For the case that it ends suddenly; the others are absent then. */
  readonly ledger?: { readonly place: number; readonly connections: readonly KeptConnection[] } | undefined;
  readonly deaths?: Deaths | undefined;
  readonly containers: RestingContainers;
  readonly events: RestingEvents;
  readonly observations: RestingObservations;
  readonly log: ReturnType<FifoLogger['describe']>;
  /** Of all workers up to now. */
  readonly cpuSeconds: number;
  readonly sleep: SleepRecord;
}

/** @throws CannotRest while something is under way that another process could not go on with */
export function leaveConnections(server: Server, { requests }: Observations, leaving: Leaving): Connection[] {
  const pending = requests.pending();
  const other = pending.find(({ method }) => method !== 'Wait');
  if (other) throw new CannotRest(`${other.method} of ${other.execId || other.id} is under way`);
  // Somebody else's calls are none that are accounted for.
  if (server.activeCalls !== pending.length) throw new CannotRest('a call is under way');
  const all = server.rest();
  if (!all) throw new CannotRest('a request or a reply is on its way');
  return all.map(({ id, fd, lastStreamId, begun }) => ({
    place: leaving.wakes(fd),
    lastStreamId,
    begun,
    waits: pending
      .filter(({ context }) => context.connection.id === id)
      .map(({ id: container, execId, context }) => ({
        streamId: context.streamId,
        service: context.service,
        id: container,
        execId,
        deadline: context.deadline,
      })),
  }));
}

/** Goes on with the connections, once what they may ask about is there. */
export function resumeConnections(
  server: Server,
  connections: readonly Connection[],
  found: Found,
  socketOf: (fd: number, lastStreamId: number, begun: boolean) => ConnectionSocket,
): void {
  for (const { place, lastStreamId, begun, waits } of connections) {
    const socket = socketOf(found.fd(place), lastStreamId, begun);
    const calls = waits.map(({ streamId, service, id, execId, deadline }) => ({
      streamId,
      request: {
        service,
        method: 'Wait',
        payload: containerd.task.v2.WaitRequest.encode({ id, execId }).finish(),
        // One whose time is over is answered so.
        timeoutMs: deadline === undefined ? undefined : Math.max(1, deadline - Date.now()),
        metadata: [],
      },
    }));
    server.resume(socket, { lastStreamId, begun }, calls);
  }
}

/** What has woken a worker: the place of a descriptor, a signal (or the end of a process), or the sudden end of the one before. */
export type WokenBy = number | 'signal' | 'death';

/** As the monitor has it (monitor/handover.h). */
export function wokenByOf(place: number): WokenBy {
  return place >= 0 ? place : place === -2 ? 'death' : 'signal';
}

/** The same, in a few words. */
export function wokenByWords(by: WokenBy, { listener, connections }: RestingShim): string {
  if (by === 'signal') return 'a signal, or the end of a process';
  if (by === 'death') return 'the end of the worker before it';
  if (by === listener.place) return 'a new client';
  return connections.some((one) => one.place === by) ? 'a request' : 'a stream, or want of memory';
}
