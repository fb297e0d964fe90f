/** hawser stats: what containers use, live. */
import { totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container, Stats } from '../../client/index.js';
import type { Globals } from '../address.js';
import { CliError } from '../errors.js';
import { list } from '../format/output.js';
import { binarySize, decimalSize } from '../format/size.js';
import { trafficOf } from '../host/network.js';
import { nameOf, shortId, withSession, type Session } from '../session.js';

const EVERY_MS = 1000;
/** Between two looks at the processors' time, when there is to be one answer only. */
const SAMPLE_MS = 500;

export interface StatsFlags {
  readonly all?: boolean;
  readonly stream?: boolean;
  readonly trunc?: boolean;
  readonly format?: string;
}

interface Sample {
  readonly stats: Stats;
  readonly pid: number;
}

export async function statsCommand(references: readonly string[], flags: StatsFlags, globals: Globals): Promise<void> {
  const live = flags.stream !== false;
  await withSession(globals, async (session) => {
    const refusals: string[] = [];
    let before = await look(session, references, flags, refusals);
    if (references.length > 0 && !flags.all && refusals.length > 0 && refusals.length === before.size)
      throw new CliError(refusals.join('; '));
    if (references.length > 0 && !flags.all && [...before.values()].every((one) => one === undefined)) {
      throw new CliError(
        `container ${references.join(', ')} does not run, and uses nothing: \`hawser start\` starts it`,
      );
    }
    await delay(SAMPLE_MS);
    for (;;) {
      const after = await look(session, references, flags);
      const records = [...after].map(([container, sample]) =>
        describe(container, sample, sample && earlier(before, container), flags.trunc !== false),
      );
      const text = list(
        records,
        {
          'CONTAINER ID': 'ID',
          NAME: 'Name',
          'CPU %': 'CPUPerc',
          'MEM USAGE / LIMIT': 'MemUsage',
          'MEM %': 'MemPerc',
          'NET I/O': 'NetIO',
          'BLOCK I/O': 'BlockIO',
          PIDS: 'PIDs',
        },
        { format: flags.format, idKey: 'ID' },
      );
      // A terminal is drawn over, from its top; what was below is cleared.
      process.stdout.write(
        live && process.stdout.isTTY && flags.format === undefined
          ? `\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[J`
          : text,
      );
      if (!live) return;
      before = after;
      await delay(EVERY_MS);
    }
  });
}

function earlier(before: Map<Container, Sample | undefined>, container: Container): Sample | undefined {
  for (const [other, sample] of before) if (other.id === container.id) return sample;
  return undefined;
}

/** Those that have ended meanwhile have no figures. @param refusals is told of those that run, and have none either */
async function look(
  session: Session,
  references: readonly string[],
  { all = false }: StatsFlags,
  refusals: string[] = [],
): Promise<Map<Container, Sample | undefined>> {
  const { ClientError, FailedPreconditionError, UnimplementedError } = await import('../../client/index.js');
  const containers =
    references.length > 0
      ? await Promise.all(references.map((one) => session.find(one)))
      : await session.client.containers();
  const samples = await Promise.all(
    containers.map(async (container): Promise<[Container, Sample | undefined]> => {
      let running = false;
      try {
        const { state, pid } = await container.status();
        running = state !== 'stopped';
        return [container, running ? { stats: await container.stats(), pid } : undefined];
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        if (running && (await container.status().catch(() => undefined))?.state !== 'stopped')
          refusals.push(
            `container ${shortId(container.id)} has no figures: ${error instanceof FailedPreconditionError || error instanceof UnimplementedError ? `the shim of its runtime ${container.record.runtime.name} gives none` : error.message}`,
          );
        return [container, undefined];
      }
    }),
  );
  return new Map(samples.filter(([, sample]) => sample !== undefined || all || references.length > 0));
}

function describe(container: Container, sample: Sample | undefined, before: Sample | undefined, cut: boolean) {
  const { id, record } = container;
  const name = nameOf(record.labels) ?? shortId(id);
  const none = {
    ID: cut ? shortId(id) : id,
    Container: id,
    Name: name,
    CPUPerc: '--',
    MemUsage: '-- / --',
    MemPerc: '--',
    NetIO: '--',
    BlockIO: '--',
    PIDs: '--',
  };
  if (sample === undefined) return none;
  const { stats, pid } = sample;
  const limit = Math.min(stats.memory.limit ?? Infinity, totalmem());
  const traffic = trafficOf(pid);
  const elapsed = before === undefined ? 0 : (stats.timestamp.getTime() - before.stats.timestamp.getTime()) * 1e6;
  const used = before === undefined || elapsed <= 0 ? 0 : (stats.cpu.usageNs - before.stats.cpu.usageNs) / elapsed;
  return {
    ...none,
    CPUPerc: `${(Math.max(0, used) * 100).toFixed(2)}%`,
    MemUsage: `${binarySize(stats.memory.workingSet)} / ${binarySize(limit)}`,
    MemPerc: `${((stats.memory.workingSet / limit) * 100).toFixed(2)}%`,
    NetIO: traffic ? `${decimalSize(traffic.received)} / ${decimalSize(traffic.sent)}` : '--',
    BlockIO: `${decimalSize(stats.blockIo.readBytes)} / ${decimalSize(stats.blockIo.writeBytes)}`,
    PIDs: String(stats.pids.current),
  };
}
