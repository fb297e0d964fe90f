/** Metrics in Prometheus' text format, version 0.0.4. */
import type { Metrics } from './metrics.js';
import type { Sources } from './sources.js';

type Sample = [labels: Record<string, string>, value: number];

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Times are in seconds, sizes in bytes, as is the custom there. */
export function prometheus(metrics: Metrics, { record }: Sources): string {
  const m = metrics;
  const { namespace, id } = record;
  const lines: string[] = [];
  const add = (name: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): void => {
    if (samples.length === 0) return;
    lines.push(`# HELP hawser_shim_${name} ${help}`, `# TYPE hawser_shim_${name} ${type}`);
    for (const [labels, value] of samples)
      lines.push(`hawser_shim_${name}${labelText({ namespace, id, ...labels })} ${value}`);
  };
  const gauge = (name: string, help: string, value: number | undefined): void =>
    add(name, 'gauge', help, value === undefined ? [] : [[{}, value]]);
  const counter = (name: string, help: string, value: number): void => add(name, 'counter', help, [[{}, value]]);
  const by = <T>(label: string, totals: Record<string, T>, value: (total: T) => number): Sample[] =>
    Object.entries(totals).map(([name, total]) => [{ [label]: name }, value(total)]);

  gauge('uptime_seconds', 'Since the shim began to serve.', m.uptimeSeconds);
  gauge('containers', 'Containers it has.', m.containers);
  counter('execs_started_total', 'Execs started.', m.execsStarted);
  counter('execs_finished_total', 'Execs that were started and have ended.', m.execsFinished);
  gauge('events_queued', 'Events that wait for the daemon.', m.events.queued);
  counter('events_sent_total', 'Events that the daemon has taken.', m.events.sent);
  counter('events_retried_total', 'Attempts to send an event that failed and are repeated.', m.events.retried);
  counter('events_dropped_total', 'Events given up.', m.events.dropped);
  add(
    'requests_total',
    'counter',
    'Requests, by method.',
    by('method', m.requests, ({ count }) => count),
  );
  add(
    'requests_failed_total',
    'counter',
    'Requests answered with an error, by method.',
    by('method', m.requests, ({ failed }) => failed),
  );
  gauge('requests_pending', 'Requests that are being handled.', m.requestsPending);
  counter(
    'requests_answered_asleep_total',
    'Requests for how a container is, of a shim that sleeps; not among the others.',
    m.requestsAnsweredAsleep,
  );
  counter(
    'requests_answered_ready_total',
    'Requests for how a container is whose answer was ready; they are among the others.',
    m.requestsAnsweredReady,
  );
  add(
    'runtime_commands_total',
    'counter',
    'Commands of the OCI runtime, by name.',
    by('command', m.runtimeCommands, ({ count }) => count),
  );
  add(
    'runtime_commands_failed_total',
    'counter',
    'Commands of the OCI runtime that failed, by name.',
    by('command', m.runtimeCommands, ({ failed }) => failed),
  );
  add(
    'runtime_command_seconds_total',
    'counter',
    'Time that commands of the OCI runtime took, by name.',
    by('command', m.runtimeCommands, ({ totalMs }) => totalMs / 1000),
  );
  gauge('runtime_commands_running', 'Commands of the OCI runtime that run now.', m.runtimeCommandsRunning);
  gauge('loop_delay_seconds', 'How late a timer of the event loop fired just now.', m.loopDelayMs / 1000);
  counter('cpu_seconds_total', 'CPU time of the shim.', m.cpuSeconds);
  gauge('heap_used_bytes', 'JavaScript heap in use.', m.heapUsedBytes);
  gauge('heap_total_bytes', 'JavaScript heap held.', m.heapTotalBytes);
  gauge('resident_memory_bytes', 'Resident memory, what is shared with other shims included.', m.rssBytes);
  gauge('private_dirty_bytes', "Memory that is the shim's alone.", m.privateDirtyBytes);
  gauge('open_fds', 'Open descriptors.', m.openDescriptors);
  counter('copied_bytes_total', 'Bytes of stdio moved by the shim, spliced or copied.', m.bytesCopied);
  counter('log_lines_dropped_total', "Lines of the shim's own log that found no room.", m.logLinesDropped);
  gauge('connections', 'Clients that are connected.', m.connections);
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Record<string, string>): string {
  const escaped = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')}}`;
}
