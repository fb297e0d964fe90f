/** Names of plugins as the versions of containerd's configuration have them. */

/** Version 1 has no types. containerd 2 gives these theirs; it knows no others. */
const VERSION_1: Readonly<Record<string, string>> = {
  cri: 'io.containerd.grpc.v1.cri',
  cgroups: 'io.containerd.monitor.v1.cgroups',
  linux: 'io.containerd.runtime.v1.linux',
  scheduler: 'io.containerd.gc.v1.scheduler',
  bolt: 'io.containerd.metadata.v1.bolt',
  task: 'io.containerd.runtime.v2.task',
  opt: 'io.containerd.internal.v1.opt',
  restart: 'io.containerd.internal.v1.restart',
  tracing: 'io.containerd.internal.v1.tracing',
  otlp: 'io.containerd.tracing.processor.v1.otlp',
  aufs: 'io.containerd.snapshotter.v1.aufs',
  btrfs: 'io.containerd.snapshotter.v1.btrfs',
  devmapper: 'io.containerd.snapshotter.v1.devmapper',
  native: 'io.containerd.snapshotter.v1.native',
  overlayfs: 'io.containerd.snapshotter.v1.overlayfs',
  zfs: 'io.containerd.snapshotter.v1.zfs',
};

/** Plugins of hawserd's that containerd calls otherwise, in one version or another. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  'io.containerd.monitor.container.v1.restart': 'io.containerd.internal.v1.restart',
  'io.containerd.monitor.v1.cgroups': 'io.containerd.monitor.task.v1.cgroups',
};

/** The plugins whose names in version 4 are not hawserd's own. */
const NEWEST_NAMES: Readonly<Record<string, string>> = {
  'io.containerd.internal.v1.restart': 'io.containerd.monitor.container.v1.restart',
};

export const TASK_PLUGIN = 'io.containerd.runtime.v2.task';
export const SHIM_PLUGIN = 'io.containerd.shim.v1.manager';

/** The `TYPE.ID` of a name of version 1. One with a type is left as it is; what is in no list is taken for a service, as by containerd. */
function withType(name: string): string {
  if (name.includes('.')) return name;
  if (Object.hasOwn(VERSION_1, name)) return VERSION_1[name]!;
  if (name.endsWith('-service')) return `io.containerd.service.v1.${name}`;
  return `io.containerd.${name === 'windows' || name === 'windows-lcow' ? 'snapshotter' : 'grpc'}.v1.${name}`;
}

/** What hawserd calls a plugin that a file of a version names so. */
export function ownName(name: string, version: number): string {
  const full = version < 2 ? withType(name) : name;
  return Object.hasOwn(OWN_NAMES, full) ? OWN_NAMES[full]! : full;
}

/** What version 4 calls a plugin that hawserd calls so. */
export function newestName(name: string): string {
  return Object.hasOwn(NEWEST_NAMES, name) ? NEWEST_NAMES[name]! : name;
}
