/** Gathers the figures of all tasks when Prometheus asks for them. */
import { readdirSync } from 'node:fs';
import type { Logger } from 'pino';
import { Gauge, Registry } from 'prom-client';
import { isType, type google } from '../../api/full.js';
import { Code, TtrpcError } from '../../ttrpc/index.js';
import { cgroup1Samples } from './cgroup1.js';
import { cgroup2Samples, OOM_HELP } from './cgroup2.js';
import { sample, type Sample } from './sample.js';

/** A task, as far as it is measured. */
export interface Measured {
  readonly namespace: string;
  readonly id: string;
  /** Fails, with whatever error, when there is nothing to be had. */
  stats(): Promise<google.protobuf.Any.$Properties | undefined>;
}

export interface CollectorOptions {
  readonly tasks: () => readonly Measured[];
  readonly ooms: (namespace: string, id: string) => number;
  readonly log: Logger;
}

/** So many shims are asked at the same time. */
const AT_ONCE = 32;

export class Collector {
  #gathering: Promise<string> | undefined;

  constructor(private readonly options: CollectorOptions) {}

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** The figures in Prometheus' text format. Whoever asks meanwhile gets the same. */
  text(): Promise<string> {
    return (this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = undefined;
    }));
  }

  async #gather(): Promise<string> {
    const table = new Table();
    const waiting = [...this.options.tasks()];
    const worker = async (): Promise<void> => {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
        const labels = { container_id: task.id, namespace: task.namespace };
        for (const one of await this.#samples(task)) table.add(one, labels);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    for (const one of processSamples()) table.add(one, {});
    return table.text();
  }

  async #samples(task: Measured): Promise<Sample[]> {
    const samples = await this.#decoded(task);
    // cgroup v2 counts them itself.
    if (!samples.some(({ name }) => name === 'container_memory_oom_total')) {
      samples.push(sample('memory_oom', 'total', OOM_HELP, this.options.ooms(task.namespace, task.id)));
    }
    return samples;
  }

  async #decoded(task: Measured): Promise<Sample[]> {
    const { log } = this.options;
    const { namespace, id } = task;
    try {
      const stats = await task.stats();
      if (!stats?.value) return [];
      if (isType(stats, 'io.containerd.cgroups.v2.Metrics')) return cgroup2Samples(stats.value);
      if (isType(stats, 'io.containerd.cgroups.v1.Metrics')) return cgroup1Samples(stats.value);
      log.warn({ namespace, id, type: stats.type_url }, 'a shim gave metrics of an unknown type');
    } catch (error) {
      // One that has just gone, or was never started, has none.
      if (TtrpcError.from(error).code !== Code.NotFound)
        log.warn({ err: error, namespace, id }, 'failed to get metrics of a task');
    }
    return [];
  }
}

/** Gauges by their names, as they turn up. */
class Table {
  readonly #registry = new Registry();
  readonly #gauges = new Map<string, Gauge>();

  add({ name, help, value, labels }: Sample, common: Readonly<Record<string, string>>): void {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      gauge = new Gauge({
        name,
        help,
        registers: [this.#registry],
        labelNames: [...Object.keys(common), ...Object.keys(labels ?? {})],
      });
      this.#gauges.set(name, gauge);
    }
    gauge.set({ ...common, ...labels }, value);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** The daemon's own. Those of prom-client would have a timer run all the time. */
function processSamples(): Sample[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'Total user and system CPU time spent in seconds.',
      value: (user + system) / 1e6,
    },
    { name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.', value: process.memoryUsage.rss() },
    {
      name: 'process_start_time_seconds',
      help: 'Start time of the process since unix epoch in seconds.',
      value: performance.timeOrigin / 1000,
    },
    {
      name: 'process_open_fds',
      help: 'Number of open file descriptors.',
      value: readdirSync('/proc/self/fd').length - 1,
    },
  ];
}
