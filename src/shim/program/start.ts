/** The `start` action: makes sure that a shim serves this container's group, and says where (contract §1.7). */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bundle } from '../../oci/bundle.js';
import { shimPid } from '../../sys/index.js';
import { groupOf, SOCKET_DIR, socketPath } from './address.js';
import { parseBootstrap } from './bootstrap.js';
import { answer, answerForRunning, dialectOf } from './dialect.js';
import type { Invocation } from './flags.js';
import { checkIdentifier } from '../../api/identifier.js';
import { adopt, listenAt, type Listening } from './listen.js';
import type { Logger } from '../observe/log.js';
import type { Timeline } from '../observe/timeline.js';

export interface Started {
  /** What the daemon is told, in its own words. */
  answer: string | Uint8Array;
  /** Present when this process is the shim from now on; absent when another one already is. */
  listening?: Listening;
  debug: boolean;
}

/** @param daemonPid the process that ran us: it tells which answer is understood, and the score of the out-of-memory killer */
export async function start(
  invocation: Invocation,
  input: Uint8Array,
  daemonPid: number,
  timeline: Timeline,
): Promise<Started> {
  const { shimCgroup, ...started } = await takePlace(invocation, new Bundle(process.cwd()), input, daemonPid, timeline);
  if (!started.listening) return started;
  try {
    if (shimCgroup) joinCgroup(shimCgroup);
    adjustOomScore(daemonPid);
  } catch (error) {
    started.listening.unlink();
    throw error;
  }
  return started;
}

/** All of a start that leaves this process as it is: finds the place of the container's group, and listens there if nobody does. */
export async function takePlace(
  invocation: Invocation,
  bundle: Bundle,
  input: Uint8Array,
  daemonPid: number,
  timeline: Timeline,
): Promise<Started & { shimCgroup: string }> {
  const { id, namespace, address: grpcAddress } = invocation;
  checkIdentifier('id', id);
  const bootstrap = parseBootstrap(input, id, namespace);
  const path = socketPath(
    grpcAddress,
    namespace,
    groupOf(bundle.spec().annotations, id),
    bootstrap.socketDir || SOCKET_DIR,
  );
  const address = `unix://${path}`;
  const debug = invocation.debug || bootstrap.debug;
  const dialect = dialectOf(bootstrap.isParams, daemonPid);

  timeline.mark('bundle read');
  const { shimCgroup } = bootstrap.options;
  const listening = await listenAt(path);
  timeline.mark('listening');
  if (listening === 'taken') {
    bundle.writeAddress(address);
    return { answer: await answerForRunning(dialect, address), debug, shimCgroup: shimCgroup ?? '' };
  }
  try {
    bundle.writeAddress(address);
  } catch (error) {
    listening.unlink();
    throw error;
  }
  return { answer: answer(dialect, address), listening, debug, shimCgroup: shimCgroup ?? '' };
}

/** Moves this process into a cgroup: on cgroup v1 in those hierarchies that have it. */
function joinCgroup(path: string): void {
  const base = '/sys/fs/cgroup';
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').includes(` - cgroup `)
    ? readdirSync(base).filter((name) => name !== 'unified')
    : ['.'];
  const found = mounts.map((mount) => join(base, mount, path, 'cgroup.procs')).filter((file) => existsSync(file));
  if (found.length === 0)
    throw new Error(
      `shim_cgroup ${JSON.stringify(path)} is no cgroup below ${base}; it must be there before the shim is started`,
    );
  for (const file of found) for (const pid of ownPids()) writeFileSync(file, String(pid));
}

/**
 * What is left of a start for which the launcher has found the place, and answered the daemon (monitor/place.c).
 *
 * @param fd listens at the path
 */
export function startAt(
  fd: number,
  path: string,
  daemonPid: number,
  { log, timeline }: { log: Logger; timeline: Timeline },
): Listening {
  const listening = adopt(fd, path);
  timeline.mark('listening');
  try {
    adjustOomScore(daemonPid);
  } catch (error) {
    // The daemon is gone, and nobody is left to be told.
    log.warn('cannot set the score of the out-of-memory killer', { error });
  }
  return listening;
}

/** All that a shim is: this process, and its monitor. */
function ownPids(): Set<number> {
  return new Set([process.pid, shimPid()]);
}

/** One above the daemon's: when memory runs out, the shim goes before the daemon and after the containers. */
function adjustOomScore(daemonPid: number): void {
  const score = Number(readFileSync(`/proc/${daemonPid}/oom_score_adj`, 'latin1'));
  try {
    for (const pid of ownPids()) writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(1000, score + 1)));
  } catch (error) {
    // Without privileges a score can only be raised.
    if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
