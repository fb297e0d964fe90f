import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { DeviceRule, SpecLinux } from './types.js';

/** Gives a container a device of the host: `PATH`, `HOST:CONTAINER`, or `HOST:CONTAINER:rwm`. */
export function addDevice(linux: SpecLinux, text: string): void {
  const [host = '', container = host, access = 'rwm'] = text.split(':');
  const stat = statSync(host, { throwIfNoEntry: false });
  if (stat === undefined || !(stat.isCharacterDevice() || stat.isBlockDevice())) {
    const hint = /^[^/].*[/=]/.test(text) ? ', nor is it of the form vendor.com/class=name' : '';
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `device ${JSON.stringify(text)}: ${host} is no device of this machine${hint}: invalid argument`,
    );
  }
  const device = deviceOf(container, stat);
  const { type, major, minor } = device;
  linux.devices = [...(linux.devices ?? []).filter(({ path }) => path !== container), device];
  linux.resources = {
    ...linux.resources,
    devices: [...(linux.resources?.devices ?? []), { allow: true, type, major, minor, access }],
  };
}

/** What its processes may use besides. */
export function addDeviceRules(linux: SpecLinux, rules: readonly DeviceRule[]): void {
  if (rules.length === 0) return;
  const allowed = rules.map(({ type, major, minor, access }) => ({
    allow: true,
    type,
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access,
  }));
  linux.resources = { ...linux.resources, devices: [...(linux.resources?.devices ?? []), ...allowed] };
}

/** What is no device's place, or would be that of the host's terminals and queues. */
const NOT_FOR_CONTAINERS = [
  '/dev/pts',
  '/dev/shm',
  '/dev/fd',
  '/dev/mqueue',
  '/dev/.lxc',
  '/dev/.lxd-mounts',
  '/dev/.udev',
];

/** All devices of the host, for a privileged container; its console is its own. */
export function hostDevices(dir = '/dev'): Device[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return NOT_FOR_CONTAINERS.includes(path) ? [] : hostDevices(path);
    if (!(entry.isCharacterDevice() || entry.isBlockDevice()) || path === '/dev/console') return [];
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [deviceOf(path, stat)];
  });
}

type Device = Required<NonNullable<SpecLinux['devices']>[number]>;

function deviceOf(path: string, stat: Stats): Device {
  return {
    path,
    type: stat.isBlockDevice() ? 'b' : 'c',
    ...deviceNumbers(stat.rdev),
    fileMode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

/** As glibc's major(3) and minor(3); numbers of devices fit into 32 bits. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}
