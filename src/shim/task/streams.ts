/** The standard streams of a process of a container, opened and waited for. */
import type { RestingStdio, Stdio, StdioRequest } from '../stdio/index.js';
import type { Found } from '../worker/leaving.js';
import type { Parts } from './parts.js';
import type { LiveProcess } from './process.js';

/** How long Delete waits for output that is still being copied (contract appendix B). */
const DRAIN_MS = 10_000;

/**
 * @param id the container's, or the exec's
 * @param init of the container that an exec is to run in
 */
export async function openStreams(
  { record, shim, host }: Pick<Parts, 'record' | 'shim' | 'host'>,
  live: LiveProcess,
  id: string,
  init?: number,
): Promise<Stdio> {
  const request = requestOf({ record, shim }, live, id, init);
  live.stdio = await host.openStdio(request, (text) => shim.log.warn(text), shim.observations);
  shim.log.debug('stdio is open', { id: record.id, process: id, ...live.stdio.describe() });
  // CloseIO may come before there is anything to close, even while it is being opened: the process then gets what the
  // client wrote, and the end.
  if (live.record.stdinClosed) live.stdio.closeStdin();
  return live.stdio;
}

/** Goes on with the streams that another process has left. */
export function resumeStreams(
  { record, shim, host }: Pick<Parts, 'record' | 'shim' | 'host'>,
  live: LiveProcess,
  id: string,
  resting: RestingStdio,
  found: Found,
): void {
  const request = requestOf({ record, shim }, live, id);
  live.stdio = host.resumeStdio(request, (text) => shim.log.warn(text), shim.observations, resting, found);
}

function requestOf(
  { record, shim }: Pick<Parts, 'record' | 'shim'>,
  live: LiveProcess,
  id: string,
  init?: number,
): StdioRequest {
  const { ioUid: uid, ioGid: gid } = record.runtime;
  const { stdin, stdout, stderr, terminal } = live.record;
  const { namespace } = shim.record;
  return { stdin, stdout, stderr, terminal, uid, gid, init, id, namespace, onDeath: record.onLogDeath };
}

/** Waits, before a Delete, for output that is still being copied; for no longer than there is time. */
export async function drain(
  { record, shim }: Pick<Parts, 'record' | 'shim'>,
  live: LiveProcess,
  execId?: string,
): Promise<void> {
  const drained = live.stdio?.drained(DRAIN_MS) ?? Promise.resolve(true);
  if (await shim.observations.waits.for('output', execId ?? record.id, drained)) return;
  shim.log.warn('copying the output to its end failed, as Delete waits no longer', {
    id: record.id,
    ...(execId === undefined ? {} : { exec: execId }),
  });
}
