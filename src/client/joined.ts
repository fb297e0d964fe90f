/** A container that sees the processes of another one: which those are is known when it is started. */
import { Code } from '../ttrpc/status.js';
import { FailedPreconditionError, NotFoundError } from './errors.js';
import type { Services } from './grpc/services.js';
import { packSpec, statusOf } from './record.js';
import type { Spec } from './spec/types.js';
import type { ContainerRecord } from './types/container.js';

/** The other container's id. */
export const PID_OF = 'io.hawser/pid-of';
/** Nobody's: a start that has not found the other container fails. */
const NOBODY = '/proc/0/ns/pid';

/** For a container that is being made. */
export function joinedSpec(spec: Spec): Spec {
  return withPidNamespace(spec, NOBODY);
}

/** Before a start: writes down whose processes it sees, in its record. @returns the record as it is then */
export async function joinProcesses(
  { containers, tasks }: Services,
  record: ContainerRecord,
  signal: AbortSignal | undefined,
): Promise<ContainerRecord> {
  const other = record.labels[PID_OF];
  if (other === undefined) return record;
  let pid: number | undefined;
  try {
    const { process } = await tasks.Get({ containerId: other }, { signal });
    const status = statusOf(other, process ?? {});
    // That of a task which has ended may be another process's by now.
    pid = status.state === 'stopped' ? undefined : status.pid;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
  if (!pid)
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      `container ${record.id} shares the processes of container ${other}, which does not run: failed precondition`,
    );
  const spec = withPidNamespace(record.spec, `/proc/${pid}/ns/pid`);
  await containers.Update(
    { container: { id: record.id, spec: packSpec(spec) }, updateMask: { paths: ['spec'] } },
    { signal },
  );
  return { ...record, spec };
}

function withPidNamespace(spec: Spec, path: string): Spec {
  const others = (spec.linux?.namespaces ?? []).filter(({ type }) => type !== 'pid');
  return { ...spec, linux: { ...spec.linux, namespaces: [...others, { type: 'pid', path }] } };
}
