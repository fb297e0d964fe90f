/** hawser ps. */
import type { ContainerNetwork } from '../../client/index.js';
import { HOSTNAME, NAME, NETWORKS, PORTS } from '../../client/nerdctl.js';
import { portText } from '../../client/network/ports.js';
import { ANONYMOUS_VOLUMES, MOUNTS } from '../../client/volume/mount-points.js';
import type { Globals } from '../address.js';
import { Sizes, type ContainerSize } from '../container/size.js';
import { inDockersWords, rowsOf, type Row } from '../container/state.js';
import { UsageError } from '../errors.js';
import { list } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { printable, shorten } from '../format/table.js';
import { inWords } from '../format/time.js';
import { LABEL, PREFIX } from '../labels.js';
import { nameOf, shortId, withSession } from '../session.js';
import { commandBelowInit } from '../../oci/init-program.js';

const COMMAND_COLUMNS = 22;
/** What stands for mounts, names and networks, and is nobody's to read. */
const OWN: ReadonlySet<string> = new Set([NAME, HOSTNAME, NETWORKS, PORTS, MOUNTS, ANONYMOUS_VOLUMES]);

export interface PsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly trunc?: boolean;
  readonly last?: number;
  readonly latest?: boolean;
  readonly size?: boolean;
  readonly filter?: string[];
  readonly format?: string;
}

export async function psCommand(flags: PsFlags, globals: Globals): Promise<void> {
  const accepts = (flags.filter ?? []).map(filterOf);
  const last = flags.latest ? 1 : flags.last;
  // Asking for what has ended asks for more than what runs.
  const all =
    flags.all === true || last !== undefined || (flags.filter ?? []).some((one) => /^(status|exited)=/.test(one));
  // Whoever shows sizes asks for them, as docker has it.
  const withSize = flags.size === true || /\.Size\b/.test(flags.format ?? '');
  const records = await withSession(globals, async ({ client }) => {
    const sizes = new Sizes(client);
    const now = Date.now();
    const chosen = (await rowsOf(client))
      .filter(({ state }) => all || state.status === 'running' || state.status === 'paused')
      .filter((row) => [...groups(accepts)].every((alternatives) => alternatives.some((accept) => accept(row))))
      .sort((a, b) => b.container.record.createdAt.getTime() - a.container.record.createdAt.getTime())
      .slice(0, last);
    return Promise.all(
      chosen.map(async (row) => {
        const size = withSize ? await sizes.of(row.container.record) : NOTHING;
        return describeRow(row, client.networks.of(row.container.id, row.container.record.labels), {
          size,
          cut: flags.trunc !== false,
          now,
        });
      }),
    );
  });
  process.stdout.write(
    list(
      records,
      {
        'CONTAINER ID': 'ID',
        IMAGE: 'Image',
        COMMAND: 'Command',
        CREATED: 'RunningFor',
        STATUS: 'Status',
        PORTS: 'Ports',
        NAMES: 'Names',
        ...(flags.size ? { SIZE: 'Size' } : {}),
      },
      { format: flags.format, quiet: flags.quiet, idKey: 'ID' },
    ),
  );
}

/** As docker lists it. */
export function describeRow(
  { container: { id, record }, state }: Row,
  { ports, networks }: ContainerNetwork,
  { size, cut, now }: { readonly size: ContainerSize; readonly cut: boolean; readonly now: number },
): Record<string, unknown> {
  const command = printable(commandBelowInit(record.spec.process?.args ?? []).join(' '));
  return {
    ID: cut ? shortId(id) : id,
    Image: record.image || record.labels[LABEL.rootfs] || record.spec.root?.path || '',
    Command: JSON.stringify(cut ? shorten(command, COMMAND_COLUMNS - 2) : command),
    CreatedAt: record.createdAt.toISOString(),
    RunningFor: `${inWords(now - record.createdAt.getTime())} ago`,
    Status: inDockersWords(state, now),
    State: state.status,
    Ports: state.status === 'running' || state.status === 'paused' ? ports.map(portText).join(', ') : '',
    Networks: networks.join(','),
    Names: nameOf(record.labels) ?? (/^[0-9a-f]{64}$/.test(id) ? '' : id),
    Labels: Object.entries(record.labels)
      .filter(([name]) => !name.startsWith(PREFIX) && !OWN.has(name))
      .map(([name, value]) => `${name}=${value}`)
      .join(','),
    Runtime: record.runtime.name,
    Pid: state.pid,
    Size: sizeText(size),
  };
}

const NOTHING: ContainerSize = { own: 0, all: 0 };

/** `12B (virtual 4.2MB)`. */
function sizeText({ own, all }: ContainerSize): string {
  return `${decimalSize(own)}${all > 0 ? ` (virtual ${decimalSize(all)})` : ''}`;
}

type Accept = ((row: Row) => boolean) & { readonly about: string };

/** Filters of one name are alternatives, those of several names all hold, as with docker. */
function groups(accepts: readonly Accept[]): Iterable<Accept[]> {
  const found = new Map<string, Accept[]>();
  for (const accept of accepts) found.set(accept.about, [...(found.get(accept.about) ?? []), accept]);
  return found.values();
}

function filterOf(text: string): Accept {
  const at = text.indexOf('=');
  const [name, value] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  const accept = (test: (row: Row) => boolean): Accept =>
    Object.assign(test, { about: name === 'label' ? text : name });
  switch (name) {
    case 'id':
      return accept(({ container }) => container.id.startsWith(value));
    case 'name':
      return accept(
        ({ container }) => container.id.includes(value) || (nameOf(container.record.labels)?.includes(value) ?? false),
      );
    case 'status':
      return accept(({ state }) => state.status === value);
    case 'exited':
      return accept(({ state }) => state.status === 'exited' && state.exitCode === Number(value));
    case 'ancestor':
      return accept(
        ({ container }) =>
          container.record.image === value ||
          container.record.image.startsWith(`${value}:`) ||
          container.record.image === `docker.io/library/${value.includes(':') ? value : `${value}:latest`}`,
      );
    case 'label': {
      const equals = value.indexOf('=');
      const [label, wanted] = equals < 0 ? [value, undefined] : [value.slice(0, equals), value.slice(equals + 1)];
      return accept(({ container: { record } }) =>
        wanted === undefined ? record.labels[label] !== undefined : record.labels[label] === wanted,
      );
    }
    default:
      throw new UsageError(
        `--filter ${JSON.stringify(text)}: there are id, name, label, status, exited and ancestor, as name=web`,
        'ps',
      );
  }
}
