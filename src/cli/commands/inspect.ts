/** hawser inspect: docker's form where docker has one, and the OCI spec. */
import type { Container, LinuxResources, TaskStatus } from '../../client/index.js';
import { stopSignalOf } from '../../client/signals.js';
import type { Globals } from '../address.js';
import { stateOf } from '../container/state.js';
import { Exit } from '../errors.js';
import { explain } from '../explain.js';
import { compile } from '../format/template.js';
import { LABEL } from '../labels.js';
import { logPathOf } from '../options/log.js';
import { stringifyExact } from '../../oci/json.js';
import { nameOf, withSession, type Session } from '../session.js';
import { commandBelowInit } from '../../oci/init-program.js';

export async function inspectCommand(
  references: readonly string[],
  { format }: { format?: string },
  globals: Globals,
): Promise<void> {
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async (session) => {
    const { NotFoundError } = await import('../../client/index.js');
    const found: unknown[] = [];
    let failed = 0;
    for (const reference of references) {
      try {
        const container = await session.find(reference);
        const task = await container.status().catch((error: unknown) => {
          if (error instanceof NotFoundError) return undefined;
          throw error;
        });
        found.push(describe(container, task, session));
      } catch (error) {
        process.stderr.write(`hawser: ${explain(error).text}\n`);
        failed = 1;
      }
    }
    if (render) for (const one of found) process.stdout.write(`${render(one)}\n`);
    else if (format === 'json') process.stdout.write(`${stringifyExact(found)}\n`);
    else process.stdout.write(`${stringifyExact(found, 4)}\n`);
    if (failed) throw new Exit(failed);
  });
}

function describe(container: Container, task: TaskStatus | undefined, { client, namespace }: Session): unknown {
  const { id, record } = container;
  const state = stateOf(container, task);
  const { spec } = record;
  const [path = '', ...args] = commandBelowInit(spec.process?.args ?? []);
  const time = (ms: number | undefined): string =>
    ms === undefined || Number.isNaN(ms) ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString();
  const resources = spec.linux?.resources;
  return {
    Id: id,
    Name: nameOf(record.labels) ?? id,
    Namespace: namespace,
    Created: record.createdAt.toISOString(),
    Path: path,
    Args: args,
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused',
      Paused: state.status === 'paused',
      Pid: state.pid,
      ExitCode: state.exitCode ?? 0,
      StartedAt: time(state.startedAt),
      FinishedAt: time(state.finishedAt),
    },
    Image: record.image,
    Rootfs: record.labels[LABEL.rootfs] ?? '',
    Runtime: record.runtime.name,
    Snapshotter: record.snapshotter,
    SnapshotKey: record.snapshotKey,
    LogPath: logPathOf(task?.stdout ?? '') ?? logPathOf(record.labels[LABEL.log] ?? '') ?? '',
    Config: {
      Hostname: spec.hostname ?? '',
      User: spec.process?.user.username ?? `${spec.process?.user.uid ?? 0}:${spec.process?.user.gid ?? 0}`,
      Tty: spec.process?.terminal ?? false,
      OpenStdin: (task?.stdin ?? record.labels[LABEL.stdin] ?? '') !== '',
      Env: spec.process?.env ?? [],
      Cmd: commandBelowInit(spec.process?.args ?? []),
      WorkingDir: spec.process?.cwd ?? '/',
      StopSignal: record.labels[LABEL.stopSignal] ?? String(stopSignalOf(record.labels)),
      Labels: record.labels,
    },
    HostConfig: {
      Memory: resources?.memory?.limit ?? 0,
      NanoCpus: cpus(resources?.cpu) * 1e9,
      CpuShares: resources?.cpu?.shares ?? 0,
      PidsLimit: resources?.pids?.limit ?? 0,
      ReadonlyRootfs: spec.root?.readonly ?? false,
      AutoRemove: record.labels[LABEL.autoRemove] !== undefined,
    },
    Mounts: (spec.mounts ?? []).map(({ type = '', source = '', destination, options = [] }) => {
      const volume = client.volumes.nameOf(source);
      return {
        Type: volume === undefined ? type : 'volume',
        ...(volume === undefined ? {} : { Name: volume, Driver: 'local' }),
        Source: source,
        Destination: destination,
        Mode: options.join(','),
        RW: !options.includes('ro'),
      };
    }),
    Stdio: { Stdin: task?.stdin ?? '', Stdout: task?.stdout ?? '', Stderr: task?.stderr ?? '' },
    Spec: spec,
  };
}

function cpus(cpu: LinuxResources['cpu']): number {
  return cpu?.quota !== undefined && cpu.quota > 0 && cpu.period ? Number(cpu.quota) / Number(cpu.period) : 0;
}
