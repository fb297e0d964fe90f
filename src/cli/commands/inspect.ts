/** hawser inspect: docker's form where docker has one, and the OCI spec. */
import type { Container, LinuxResources, TaskStatus } from '../../client/index.js';
import { stopSignalOf } from '../../client/signals.js';
import type { Globals } from '../address.js';
import { Sizes } from '../container/size.js';
import { stateOf } from '../container/state.js';
import { Exit, NoSuchContainer, UsageError } from '../errors.js';
import { explain } from '../explain.js';
import { compile } from '../format/template.js';
import { LABEL } from '../labels.js';
import { describeImage } from './inspect-image.js';
import { describeVolume } from './volumes.js';
import { logPathOf } from '../options/log.js';
import { restartPolicyOf } from '../options/restart.js';
import { stringifyExact } from '../../oci/json.js';
import { nameOf, withSession, type Session } from '../session.js';
import { networkSettings, portBindings } from '../container/network-settings.js';
import { commandBelowInit } from '../../oci/init-program.js';

const TYPES = ['container', 'image', 'volume'];

export async function inspectCommand(
  references: readonly string[],
  { format, type, size = false }: { format?: string; type?: string; size?: boolean },
  globals: Globals,
): Promise<void> {
  if (type !== undefined && !TYPES.includes(type))
    throw new UsageError(`--type ${JSON.stringify(type)}: there are ${TYPES.join(', ')}`, 'inspect');
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  await withSession(globals, async (session) => {
    const found: unknown[] = [];
    let failed = 0;
    for (const reference of references) {
      try {
        found.push(await look(session, reference, { type, size }));
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

/** Undefined when it has no task. */
async function statusOf(container: Container): Promise<TaskStatus | undefined> {
  const { NotFoundError } = await import('../../client/index.js');
  try {
    return await container.status();
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** What has that name: a container before an image, and an image before a volume, unless it is said what is meant. */
async function look(
  session: Session,
  name: string,
  { type, size }: { readonly type: string | undefined; readonly size: boolean },
): Promise<unknown> {
  const { client } = session;
  const { InvalidArgumentError, NotFoundError } = await import('../../client/index.js');
  /** Undefined when there is none, and something else may have the name. */
  const trying = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call();
    } catch (error) {
      const other = error instanceof NotFoundError || error instanceof InvalidArgumentError;
      if (type !== undefined || !other) throw error;
      return undefined;
    }
  };
  if (type === 'image') return describeImage(client, name);
  if (type === 'volume') return describeVolume(session, await client.volumes.get(name), false);
  try {
    const container = await session.find(name);
    const sizes = size ? await sizesOf(session, container) : {};
    return { ...describe(container, await statusOf(container), session), ...sizes };
  } catch (error) {
    if (type === 'container' || !(error instanceof NoSuchContainer)) throw error;
    const volume = await trying(() => client.volumes.get(name));
    const other =
      (await trying(() => describeImage(client, name))) ??
      (volume === undefined ? undefined : await describeVolume(session, volume, false));
    if (other === undefined) throw error;
    return other;
  }
}

async function sizesOf({ client }: Session, { record }: Container): Promise<Record<string, number>> {
  const { own, all } = await new Sizes(client).of(record);
  return { SizeRw: own, SizeRootFs: all };
}

function describe(container: Container, task: TaskStatus | undefined, { client, namespace }: Session): object {
  const { id, record } = container;
  const state = stateOf(container, task);
  const { spec } = record;
  const network = client.networks.of(id, record.labels);
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
      Domainname: spec.linux?.sysctl?.['kernel.domainname'] ?? '',
      User: spec.process?.user.username ?? `${spec.process?.user.uid ?? 0}:${spec.process?.user.gid ?? 0}`,
      Tty: spec.process?.terminal ?? false,
      OpenStdin: (task?.stdin ?? record.labels[LABEL.stdin] ?? '') !== '',
      Env: spec.process?.env ?? [],
      Cmd: commandBelowInit(spec.process?.args ?? []),
      WorkingDir: spec.process?.cwd ?? '/',
      StopSignal: record.labels[LABEL.stopSignal] ?? String(stopSignalOf(record.labels)),
      ...(record.labels[LABEL.stopTimeout] === undefined
        ? {}
        : { StopTimeout: Number(record.labels[LABEL.stopTimeout]) }),
      Labels: record.labels,
    },
    HostConfig: {
      Memory: resources?.memory?.limit ?? 0,
      NanoCpus: cpus(resources?.cpu) * 1e9,
      CpuShares: resources?.cpu?.shares ?? 0,
      PidsLimit: resources?.pids?.limit ?? 0,
      NetworkMode: network.networks[0] ?? '',
      PortBindings: portBindings(network.ports),
      ReadonlyRootfs: spec.root?.readonly ?? false,
      AutoRemove: record.labels[LABEL.autoRemove] !== undefined,
      RestartPolicy: restartPolicyOf(record.labels),
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
    NetworkSettings: networkSettings(network),
    Stdio: { Stdin: task?.stdin ?? '', Stdout: task?.stdout ?? '', Stderr: task?.stderr ?? '' },
    Spec: spec,
  };
}

function cpus(cpu: LinuxResources['cpu']): number {
  return cpu?.quota !== undefined && cpu.quota > 0 && cpu.period ? Number(cpu.quota) / Number(cpu.period) : 0;
}
