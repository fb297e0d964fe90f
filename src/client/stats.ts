/** What the kernel counts for a container's cgroup, the same for cgroup v1 and v2. */
import { isType, millis, type containerd } from '../api/full.js';
import { io } from '../api/gen/metrics.js';
import { Code } from '../ttrpc/status.js';
import { UnknownError } from './errors.js';

type Metrics1 = io.containerd.cgroups.v1.Metrics.$Properties;
type Metrics2 = io.containerd.cgroups.v2.Metrics.$Properties;
type Count = number | { toString(): string } | null | undefined;

/** Figures of one moment. Bytes and nanoseconds; a limit that is not set is undefined. */
export interface Stats {
  readonly timestamp: Date;
  /** Of the cgroup hierarchy. */
  readonly version: 1 | 2;
  readonly cpu: {
    readonly usageNs: number;
    readonly userNs: number;
    readonly systemNs: number;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledNs: number;
  };
  readonly memory: {
    /** As the kernel counts it, the file cache included. */
    readonly usage: number;
    /** Without the file cache that can be given back at once, as docker shows it. */
    readonly workingSet: number;
    readonly limit: number | undefined;
    readonly swap: number;
  };
  readonly pids: { readonly current: number; readonly limit: number | undefined };
  readonly blockIo: { readonly readBytes: number; readonly writeBytes: number };
  /** The whole message, as the shim gave it: io.containerd.cgroups.v1.Metrics or v2. */
  readonly raw: unknown;
}

/** Counters from here on mean that there is no limit: cgroup v1 has the highest number of pages, others the highest number. */
const NO_LIMIT = 2 ** 62;

/** Reads what the daemon gives for one container. */
export function statsOf({ timestamp, data, id }: containerd.types.Metric.$Properties): Stats {
  const at = new Date(millis(timestamp) ?? Date.now());
  const value = data?.value ?? new Uint8Array(0);
  if (data && isType(data, 'io.containerd.cgroups.v1.Metrics'))
    return { timestamp: at, ...ofVersion1(io.containerd.cgroups.v1.Metrics.decode(value)) };
  if (data && isType(data, 'io.containerd.cgroups.v2.Metrics'))
    return { timestamp: at, ...ofVersion2(io.containerd.cgroups.v2.Metrics.decode(value)) };
  throw new UnknownError(
    Code.Unknown,
    `container ${id}: its shim gives figures of a kind that is not known here: ${data?.type_url || 'none'}`,
  );
}

function ofVersion1(raw: Metrics1): Omit<Stats, 'timestamp'> {
  const { cpu, memory, pids, blkio } = raw;
  const usage = count(memory?.usage?.usage);
  const bytes = (op: string): number =>
    blkio?.ioServiceBytesRecursive
      ?.filter((entry) => entry.op?.toLowerCase() === op)
      .reduce((sum, entry) => sum + count(entry.value), 0) ?? 0;
  return {
    version: 1,
    raw,
    cpu: {
      usageNs: count(cpu?.usage?.total),
      userNs: count(cpu?.usage?.user),
      systemNs: count(cpu?.usage?.kernel),
      periods: count(cpu?.throttling?.periods),
      throttledPeriods: count(cpu?.throttling?.throttledPeriods),
      throttledNs: count(cpu?.throttling?.throttledTime),
    },
    memory: {
      usage,
      workingSet: Math.max(0, usage - count(memory?.totalInactiveFile)),
      limit: limitOf(memory?.usage?.limit),
      swap: Math.max(0, count(memory?.swap?.usage) - usage),
    },
    pids: { current: count(pids?.current), limit: limitOf(pids?.limit) },
    blockIo: { readBytes: bytes('read'), writeBytes: bytes('write') },
  };
}

function ofVersion2(raw: Metrics2): Omit<Stats, 'timestamp'> {
  const { cpu, memory, pids, io: disks } = raw;
  const usage = count(memory?.usage);
  const bytes = (of: (entry: { rbytes?: Count; wbytes?: Count }) => Count): number =>
    disks?.usage?.reduce((sum, entry) => sum + count(of(entry)), 0) ?? 0;
  return {
    version: 2,
    raw,
    cpu: {
      usageNs: count(cpu?.usageUsec) * 1000,
      userNs: count(cpu?.userUsec) * 1000,
      systemNs: count(cpu?.systemUsec) * 1000,
      periods: count(cpu?.nrPeriods),
      throttledPeriods: count(cpu?.nrThrottled),
      throttledNs: count(cpu?.throttledUsec) * 1000,
    },
    memory: {
      usage,
      workingSet: Math.max(0, usage - count(memory?.inactiveFile)),
      limit: limitOf(memory?.usageLimit),
      swap: count(memory?.swapUsage),
    },
    pids: { current: count(pids?.current), limit: limitOf(pids?.limit) },
    blockIo: { readBytes: bytes((entry) => entry.rbytes), writeBytes: bytes((entry) => entry.wbytes) },
  };
}

function count(value: Count): number {
  return Number(value ?? 0);
}

function limitOf(value: Count): number | undefined {
  const limit = count(value);
  return limit === 0 || limit >= NO_LIMIT ? undefined : limit;
}
