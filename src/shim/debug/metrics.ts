/** The figures of one shim. What can be looked up when it is asked for is not counted. */
import { countDescriptors, privateDirty } from './procfs.js';
import type { Sources } from './sources.js';

export interface Metrics {
  uptimeSeconds: number;
  containers: number;
  execsStarted: number;
  execsFinished: number;
  events: { queued: number; sent: number; retried: number; dropped: number };
  requests: Record<string, { count: number; failed: number }>;
  requestsPending: number;
  /** Of a sleeping shim, by its monitor; not among the requests. */
  requestsAnsweredAsleep: number;
  /** Of the requests: for how a container is, by what was ready. */
  requestsAnsweredReady: number;
  runtimeCommands: Record<string, { count: number; failed: number; totalMs: number }>;
  runtimeCommandsRunning: number;
  /** How much later than due a timer of the event loop fired just now. */
  loopDelayMs: number;
  cpuSeconds: number;
  heapUsedBytes: number;
  heapTotalBytes: number;
  rssBytes: number;
  /** Absent where the kernel doesn't say. */
  privateDirtyBytes?: number;
  openDescriptors: number;
  bytesCopied: number;
  logLinesDropped: number;
  connections: number;
}

/** Long enough for a loop that has fallen behind to show it. */
const PROBE_MS = 10;

export async function measure(sources: Sources): Promise<Metrics> {
  const loopDelayMs = await loopDelay();
  const { queued, sent, retried, dropped } = sources.events();
  const { rss, heapUsed, heapTotal } = process.memoryUsage();
  const dirty = privateDirty();
  const { creating, created } = sources.containers();
  return {
    uptimeSeconds: Math.round((Date.now() - sources.record.startedAt) / 100) / 10,
    containers: creating.length + created.length,
    execsStarted: sources.counters.execsStarted,
    execsFinished: sources.counters.execsFinished,
    events: { queued, sent, retried, dropped },
    requests: used(sources.requestTotals()),
    requestsPending: sources.requests().length,
    requestsAnsweredAsleep: sources.sleep().answered ?? 0,
    requestsAnsweredReady: sources.counters.answeredReady,
    runtimeCommands: used(sources.commandTotals()),
    runtimeCommandsRunning: sources.commands().length,
    loopDelayMs,
    cpuSeconds: sources.cpuSeconds(),
    heapUsedBytes: heapUsed,
    heapTotalBytes: heapTotal,
    rssBytes: rss,
    ...(dirty === undefined ? {} : { privateDirtyBytes: dirty }),
    openDescriptors: countDescriptors(),
    bytesCopied: sources.counters.bytesCopied,
    logLinesDropped: sources.log().dropped,
    connections: sources.connections(),
  };
}

/** What was never asked for is not worth a line. */
function used<T extends { count: number }>(totals: ReadonlyMap<string, T>): Record<string, T> {
  return Object.fromEntries([...totals].filter(([, { count }]) => count > 0));
}

function loopDelay(): Promise<number> {
  const begun = process.hrtime.bigint();
  return new Promise((resolve) => {
    setTimeout(() => {
      const late = Number(process.hrtime.bigint() - begun) / 1e6 - PROBE_MS;
      resolve(Math.max(0, Math.round(late * 1000) / 1000));
    }, PROBE_MS);
  });
}
