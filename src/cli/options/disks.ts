/** What single disks may be used for: --device-read-bps and its like, --blkio-weight-device. */
import type { BlkioDevice } from '../../client/index.js';
import { UsageError } from '../errors.js';
import { parseSize } from '../format/size.js';

export interface DiskFlags {
  readonly blkioWeightDevice?: string[];
  readonly deviceReadBps?: string[];
  readonly deviceReadIops?: string[];
  readonly deviceWriteBps?: string[];
  readonly deviceWriteIops?: string[];
}

export function disksOf(flags: DiskFlags): BlkioDevice[] {
  return [
    ...each(flags.blkioWeightDevice, '--blkio-weight-device', 'WEIGHT', weight).map(([path, value]) => ({
      path,
      weight: value,
    })),
    ...each(flags.deviceReadBps, '--device-read-bps', 'RATE', bytes).map(([path, readBps]) => ({ path, readBps })),
    ...each(flags.deviceWriteBps, '--device-write-bps', 'RATE', bytes).map(([path, writeBps]) => ({ path, writeBps })),
    ...each(flags.deviceReadIops, '--device-read-iops', 'RATE', times).map(([path, readIops]) => ({ path, readIops })),
    ...each(flags.deviceWriteIops, '--device-write-iops', 'RATE', times).map(([path, writeIops]) => ({
      path,
      writeIops,
    })),
  ];
}

type Read = (text: string, what: string) => number;

function each(texts: readonly string[] = [], flag: string, unit: string, read: Read): [path: string, value: number][] {
  return texts.map((text) => {
    const what = `${flag} ${JSON.stringify(text)}`;
    const [, path = '', value = ''] = /^(\/dev\/[^:]+):([^:]+)$/.exec(text) ?? [];
    if (path === '') throw new UsageError(`${what}: it is /dev/DISK:${unit}`);
    return [path, read(value, what)];
  });
}

function weight(text: string, what: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || (value !== 0 && (value < 10 || value > 1000)))
    throw new UsageError(`${what}: a weight is from 10 to 1000, or 0 for the usual`);
  return value;
}

function bytes(text: string, what: string): number {
  if (text.startsWith('-')) throw new UsageError(`${what}: a rate is a number of bytes each second, such as 1mb`);
  return parseSize(text, what);
}

function times(text: string, what: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${what}: a rate is a number of operations each second`);
  return Number(text);
}
