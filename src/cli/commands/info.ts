/** hawser info and version. */
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import { addressOf, namespaceOf, type Globals } from '../address.js';
import { rowsOf } from '../container/state.js';
import { compile } from '../format/template.js';
import { binarySize } from '../format/size.js';
import { withSession } from '../session.js';
import { dataDirectory } from '../store.js';
import { VERSION } from '../version.js';
import { shimsOf } from './runtimes.js';

interface FormatFlag {
  readonly format?: string;
}

export async function infoCommand({ format }: FormatFlag, globals: Globals): Promise<void> {
  const info = await withSession(globals, async ({ client, address, namespace }) => {
    const [rows, images, version, server] = await Promise.all([
      rowsOf(client),
      client.images.list(),
      client.version(),
      client.services.introspection.Server({}),
    ]);
    const count = (...wanted: string[]): number => rows.filter(({ state }) => wanted.includes(state.status)).length;
    return {
      ID: server.uuid,
      Address: address,
      Namespace: namespace,
      Containers: rows.length,
      ContainersRunning: count('running'),
      ContainersPaused: count('paused'),
      ContainersStopped: count('exited', 'created', 'unknown'),
      Images: images.length,
      ServerVersion: version.version,
      ServerPid: Number(server.pid),
      Runtimes: [...shimsOf(Number(server.pid)).keys()],
      DefaultRuntime: 'io.containerd.runc.v2',
      CgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
      KernelVersion: release(),
      OperatingSystem: osName(),
      OSType: 'linux',
      Architecture: arch(),
      NCPU: cpus().length,
      MemTotal: totalmem(),
      Name: hostname(),
      DataDir: dataDirectory(),
    };
  });
  process.stdout.write(
    format === undefined
      ? `${text(info)}\n`
      : format === 'json'
        ? `${JSON.stringify(info)}\n`
        : `${compile(format)(info)}\n`,
  );
}

function text(info: Record<string, unknown> & { MemTotal: number; Runtimes: string[] }): string {
  const labels: Record<string, string> = {
    Address: 'Daemon',
    Namespace: 'Namespace',
    ServerVersion: 'Daemon version',
    ServerPid: 'Daemon pid',
    Containers: 'Containers',
    ContainersRunning: ' Running',
    ContainersPaused: ' Paused',
    ContainersStopped: ' Stopped',
    Images: 'Images',
    DefaultRuntime: 'Default runtime',
    Runtimes: 'Runtimes',
    CgroupVersion: 'Cgroup version',
    KernelVersion: 'Kernel version',
    OperatingSystem: 'Operating system',
    Architecture: 'Architecture',
    NCPU: 'CPUs',
    MemTotal: 'Total memory',
    Name: 'Name',
    ID: 'ID',
    DataDir: 'Logs in',
  };
  return Object.entries(labels)
    .map(([key, label]) => {
      const value =
        key === 'MemTotal' ? binarySize(info.MemTotal) : key === 'Runtimes' ? info.Runtimes.join(' ') : info[key];
      return `${label}: ${String(value)}`;
    })
    .join('\n');
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'Linux';
    throw error;
  }
}

export async function versionCommand({ format }: FormatFlag, globals: Globals): Promise<void> {
  const client = { Version: VERSION, Node: process.version, Arch: arch(), Os: 'linux' };
  if (format === undefined)
    process.stdout.write(
      `Client:\n Version:    ${client.Version}\n Node:       ${client.Node}\n OS/Arch:    linux/${client.Arch}\n\n`,
    );
  const server = await withSession(globals, ({ client: daemon }) => daemon.version());
  if (format === undefined) {
    process.stdout.write(
      `Server:\n Version:    ${server.version}\n Revision:   ${server.revision || '-'}\n Address:    ${addressOf(globals)}\n Namespace:  ${namespaceOf(globals)}\n`,
    );
    return;
  }
  const both = {
    Client: client,
    Server: { Version: server.version, Revision: server.revision, Address: addressOf(globals) },
  };
  process.stdout.write(format === 'json' ? `${JSON.stringify(both)}\n` : `${compile(format)(both)}\n`);
}
