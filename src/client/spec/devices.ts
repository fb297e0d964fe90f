import { statSync } from 'node:fs';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { SpecLinux } from './types.js';

/** Gives a container a device of the host: `PATH`, `HOST:CONTAINER`, or `HOST:CONTAINER:rwm`. */
export function addDevice(linux: SpecLinux, text: string): void {
  const [host = '', container = host, access = 'rwm'] = text.split(':');
  const stat = statSync(host, { throwIfNoEntry: false });
  if (stat === undefined || !(stat.isCharacterDevice() || stat.isBlockDevice())) {
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `device ${JSON.stringify(text)}: ${host} is no device of this machine: invalid argument`,
    );
  }
  const type = stat.isBlockDevice() ? 'b' : 'c';
  // As glibc's major(3) and minor(3); numbers of devices fit into 32 bits.
  const major = (stat.rdev >>> 8) & 0xfff;
  const minor = (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00);
  linux.devices = [
    ...(linux.devices ?? []),
    { path: container, type, major, minor, fileMode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid },
  ];
  linux.resources = {
    ...linux.resources,
    devices: [...(linux.resources?.devices ?? []), { allow: true, type, major, minor, access }],
  };
}
