/** linux.resources.blockIO: what a container may take of disks. */
import { statSync } from 'node:fs';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { deviceNumbers } from './devices.js';
import type { BlkioDevice, Limits, LinuxResources } from './types.js';

/** By what the spec calls them. */
const RATES = [
  ['throttleReadBpsDevice', 'readBps'],
  ['throttleWriteBpsDevice', 'writeBps'],
  ['throttleReadIOPSDevice', 'readIops'],
  ['throttleWriteIOPSDevice', 'writeIops'],
] as const satisfies readonly (readonly [string, keyof BlkioDevice])[];

/** Undefined when nothing is said. @throws InvalidArgumentError that names what is no disk */
export function blockIoOf({ blkioWeight, blkioDevices = [] }: Limits): LinuxResources['blockIO'] {
  const disks = blkioDevices.map((disk) => ({ ...disk, ...numbersOf(disk.path) }));
  const weights = disks.flatMap(({ major, minor, weight }) => (weight === undefined ? [] : [{ major, minor, weight }]));
  const rates = RATES.flatMap(([name, key]) => {
    const list = disks.flatMap(({ major, minor, [key]: rate }) => (rate === undefined ? [] : [{ major, minor, rate }]));
    return list.length === 0 ? [] : [[name, list] as const];
  });
  if (blkioWeight === undefined && weights.length === 0 && rates.length === 0) return undefined;
  return {
    ...(blkioWeight === undefined ? {} : { weight: blkioWeight }),
    ...(weights.length === 0 ? {} : { weightDevice: weights }),
    ...Object.fromEntries(rates),
  };
}

function numbersOf(path: string): { major: number; minor: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isBlockDevice() === true) return deviceNumbers(stat.rdev);
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `disk ${path}: ${stat === undefined ? 'there is no such device' : 'it is no disk'} on this machine: invalid argument`,
  );
}
