/** Limits, as docker's flags say them. */
import type { Limits, LinuxResources } from '../../client/index.js';
import { UsageError } from '../errors.js';
import { parseSize } from '../format/size.js';

export interface LimitFlags {
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly memoryReservation?: string;
  readonly cpus?: number;
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly pidsLimit?: number;
  readonly cpusetMems?: string;
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly cpuRtPeriod?: number;
  readonly cpuRtRuntime?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  readonly blkioWeight?: number;
}

/** Of a container that is to be made. */
export function limitsOf(flags: LimitFlags): Limits {
  const size = (text: string | undefined, what: string): number | undefined =>
    text === undefined ? undefined : parseSize(text, what);
  const memory = size(flags.memory, '--memory');
  const memorySwap = flags.memorySwap === '-1' ? -1 : size(flags.memorySwap, '--memory-swap');
  if (memorySwap !== undefined && memorySwap > 0 && memory !== undefined && memorySwap < memory)
    throw new UsageError(
      `--memory-swap ${flags.memorySwap!} is less than --memory ${flags.memory!}: it is memory and swap together`,
    );
  if (flags.cpus !== undefined && (flags.cpuQuota ?? flags.cpuPeriod) !== undefined)
    throw new UsageError('--cpus is a quota and a period: give either that or --cpu-quota and --cpu-period');
  if ((flags.memorySwappiness ?? 0) > 100)
    throw new UsageError(`--memory-swappiness ${flags.memorySwappiness!}: it is from 0 to 100, or -1 for the usual`);
  const weight = flags.blkioWeight || undefined;
  if (weight !== undefined && (weight < 10 || weight > 1000))
    throw new UsageError(`--blkio-weight ${weight}: it is from 10 to 1000, or 0 for the usual`);
  return {
    cpuset: flags.cpusetCpus,
    cpusetMems: flags.cpusetMems,
    cpuQuota: flags.cpuQuota,
    cpuPeriod: flags.cpuPeriod,
    cpuRealtimeRuntime: flags.cpuRtRuntime,
    cpuRealtimePeriod: flags.cpuRtPeriod,
    memorySwappiness: flags.memorySwappiness === -1 ? undefined : flags.memorySwappiness,
    oomKillDisable: flags.oomKillDisable,
    blkioWeight: weight,
    memory,
    memorySwap,
    memoryReservation: size(flags.memoryReservation, '--memory-reservation'),
    cpus: flags.cpus,
    cpuShares: flags.cpuShares,
    pids: flags.pidsLimit,
  };
}

const PERIOD = 100_000;

/** Of a container that runs: what is not named stays as it is. */
export function resourcesOf(flags: LimitFlags): LinuxResources {
  const limits = limitsOf(flags);
  const memory = defined({ limit: limits.memory, swap: limits.memorySwap, reservation: limits.memoryReservation });
  const cpu = defined({
    shares: limits.cpuShares,
    cpus: limits.cpuset,
    mems: limits.cpusetMems,
    realtimeRuntime: limits.cpuRealtimeRuntime,
    realtimePeriod: limits.cpuRealtimePeriod,
    quota: limits.cpus === undefined ? limits.cpuQuota : Math.round(limits.cpus * PERIOD),
    period: limits.cpus === undefined ? limits.cpuPeriod : PERIOD,
  });
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(limits.blkioWeight === undefined ? {} : { blockIO: { weight: limits.blkioWeight } }),
    ...(limits.pids === undefined ? {} : { pids: { limit: limits.pids } }),
  };
}

function defined<T extends Record<string, unknown>>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
