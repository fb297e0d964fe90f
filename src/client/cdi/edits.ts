/** What a device needs, applied to a container's spec, in the order in which CDI's own module does it. */
import { lstatSync, type Stats } from 'node:fs';
import { normalize } from 'node:path';
import { deviceNumbers } from '../spec/devices.js';
import { mergeEnv } from '../spec/process.js';
import type { Spec, SpecLinux, SpecMount } from '../spec/types.js';
import type { CdiDeviceNode, CdiEdits, CdiHook } from './types.js';

/** Edits, and the device that they are for. */
export interface NamedEdits {
  readonly name: string;
  readonly edits: CdiEdits;
}

type Node = NonNullable<SpecLinux['devices']>[number];

/** @throws Error that names the device and what it lacks */
export function applyEdits(spec: Spec, all: readonly NamedEdits[]): Spec {
  const process = spec.process === undefined ? undefined : { ...spec.process };
  const linux: SpecLinux = { ...spec.linux };
  if (process !== undefined) {
    process.env = mergeEnv(
      process.env ?? [],
      all.flatMap(({ edits }) => edits.env),
    );
    const groups = all.flatMap(({ edits }) => edits.additionalGids).filter((gid) => gid !== 0);
    if (groups.length > 0)
      process.user = {
        ...process.user,
        additionalGids: [...new Set([...(process.user.additionalGids ?? []), ...groups])],
      };
  }
  for (const { name, edits } of all) for (const node of edits.deviceNodes) addNode(linux, node, name, process?.user);
  const netDevices = netDevicesOf(all);
  if (netDevices !== undefined) linux.netDevices = { ...(linux.netDevices as object | undefined), ...netDevices };
  const rdt = all.map(({ edits }) => edits.intelRdt).findLast((one) => one !== undefined);
  if (rdt !== undefined) linux.intelRdt = defined(rdt);
  const hooks = hooksOf(
    spec.hooks,
    all.flatMap(({ edits }) => edits.hooks),
  );
  return {
    ...spec,
    ...(process === undefined ? {} : { process }),
    mounts: withMounts(spec.mounts ?? [], all),
    ...(hooks === undefined ? {} : { hooks }),
    linux,
  };
}

function addNode(
  linux: SpecLinux,
  said: CdiDeviceNode,
  name: string,
  user: { uid: number; gid: number } | undefined,
): void {
  const { path, permissions = 'rwm' } = said;
  const { type, major, minor, fileMode } = nodeOf(said, name);
  // Whoever runs in the container can use what it was given.
  const { uid = user?.uid || undefined, gid = user?.gid || undefined } = said;
  const node = defined({ path, type, major, minor, fileMode, uid, gid }) as Node;
  linux.devices = [...(linux.devices ?? []).filter((one) => one.path !== path), node];
  if (type !== 'b' && type !== 'c') return;
  const access = permissions === 'none' ? {} : { access: permissions };
  linux.resources = {
    ...linux.resources,
    devices: [...(linux.resources?.devices ?? []), { allow: true, type, major, minor, ...access }],
  };
}

interface HostNode {
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number | undefined;
}

/** What the file does not say is the host's. A file that says type and number needs no such device there. */
function nodeOf(said: CdiDeviceNode, name: string): HostNode {
  const { path, hostPath = path, type, major, minor, fileMode } = said;
  const whole = type !== undefined && (major !== 0 || type === 'p');
  let stat: Stats;
  try {
    stat = lstatSync(hostPath);
  } catch (error) {
    if (whole) return { type, major, minor, fileMode };
    throw new Error(`${name}: ${hostPath} of this machine: ${(error as Error).message}`, { cause: error });
  }
  const found = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : stat.isFIFO() ? 'p' : undefined;
  const mode = fileMode ?? stat.mode & 0o7777;
  if (whole) return { type, major, minor, fileMode: found === undefined ? fileMode : mode };
  if (found === undefined) throw new Error(`${name}: ${hostPath} of this machine is no device`);
  if (type !== undefined && type !== found)
    throw new Error(`${name}: ${hostPath} of this machine is of type ${found}, and said to be of ${type}`);
  const numbers = found === 'p' || major !== 0 ? { major, minor } : deviceNumbers(stat.rdev);
  return { type: found, ...numbers, fileMode: mode };
}

/** @throws Error when two would be one */
function netDevicesOf(all: readonly NamedEdits[]): Record<string, { name: string }> | undefined {
  const devices: Record<string, { name: string }> = {};
  for (const { name: device, edits } of all) {
    for (const { hostInterfaceName, name } of edits.netDevices) {
      const names = Object.values(devices).map((one) => one.name);
      if (devices[hostInterfaceName] !== undefined || names.includes(name))
        throw new Error(
          `${device}: the network interface ${hostInterfaceName}, in the container ${name}, is given twice`,
        );
      devices[hostInterfaceName] = { name };
    }
  }
  return Object.keys(devices).length === 0 ? undefined : devices;
}

function hooksOf(there: Spec['hooks'], more: readonly CdiHook[]): Spec['hooks'] {
  if (more.length === 0) return there;
  const hooks = { ...there };
  for (const { hookName, path, args, env, timeout } of more)
    hooks[hookName] = [
      ...(hooks[hookName] ?? []),
      defined({ path, args: args && [...args], env: env && [...env], timeout }) as { path: string },
    ];
  return hooks;
}

/** One for the same destination takes its place; what lies deeper comes later. */
function withMounts(there: readonly SpecMount[], all: readonly NamedEdits[]): SpecMount[] {
  const more = all.flatMap(({ edits }) => edits.mounts);
  if (more.length === 0) return [...there];
  let mounts = [...there];
  for (const { hostPath, containerPath, type, options } of more) {
    mounts = mounts.filter(({ destination }) => destination !== containerPath);
    const mount = { destination: containerPath, type, source: hostPath, options: options && [...options] };
    mounts.push(defined(mount) as SpecMount);
  }
  const depth = ({ destination }: SpecMount): number => normalize(destination).split('/').length;
  return mounts.sort((a, b) => depth(a) - depth(b));
}

function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
