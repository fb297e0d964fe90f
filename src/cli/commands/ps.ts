/** hawser ps. */
import type { Container, ContainerNetwork } from '../../client/index.js';
import { portText } from '../../client/network/ports.js';
import type { Globals } from '../address.js';
import { inDockersWords, stateOf, type ContainerState } from '../container/state.js';
import { UsageError } from '../errors.js';
import { list } from '../format/output.js';
import { printable, shorten } from '../format/table.js';
import { inWords } from '../format/time.js';
import { LABEL, PREFIX } from '../labels.js';
import { nameOf, shortId, withSession } from '../session.js';
import { commandBelowInit } from '../../oci/init-program.js';

const COMMAND_COLUMNS = 22;
/** What stands for mounts, and is nobody's to read. */
const OWN = new Set(['nerdctl/mounts', 'nerdctl/anonymous-volumes']);

export interface PsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly trunc?: boolean;
  readonly last?: number;
  readonly latest?: boolean;
  readonly filter?: string[];
  readonly format?: string;
}

interface Row {
  readonly container: Container;
  readonly state: ContainerState;
}

export async function psCommand(flags: PsFlags, globals: Globals): Promise<void> {
  const accepts = (flags.filter ?? []).map(filterOf);
  const last = flags.latest ? 1 : flags.last;
  // Asking for what has ended asks for more than what runs.
  const all =
    flags.all === true || last !== undefined || (flags.filter ?? []).some((one) => /^(status|exited)=/.test(one));
  const [rows, networkOf] = await withSession(globals, async ({ client }) => {
    const [containers, tasks] = await Promise.all([client.containers(), client.tasks()]);
    const byId = new Map(tasks.map((task) => [task.containerId, task]));
    const found = containers.map((container): Row => ({
      container,
      state: stateOf(container, byId.get(container.id)),
    }));
    return [found, ({ id }: Container) => client.networks.of(id)] as const;
  });
  const chosen = rows
    .filter(({ state }) => all || state.status === 'running' || state.status === 'paused')
    .filter((row) => [...groups(accepts)].every((alternatives) => alternatives.some((accept) => accept(row))))
    .sort((a, b) => b.container.record.createdAt.getTime() - a.container.record.createdAt.getTime())
    .slice(0, last);
  const now = Date.now();
  const records = chosen.map((row) => describe(row, networkOf(row.container), flags.trunc !== false, now));
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
      },
      { format: flags.format, quiet: flags.quiet, idKey: 'ID' },
    ),
  );
}

function describe(
  { container: { id, record }, state }: Row,
  { ports, networks }: ContainerNetwork,
  cut: boolean,
  now: number,
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
  };
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
