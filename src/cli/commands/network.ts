/** hawser network, and hawser port. */
import type { Network, NetworkCreateOptions, NetworkDetails } from '../../client/index.js';
import { portText } from '../../client/network/ports.js';
import type { Globals } from '../address.js';
import { CliError, Exit, SIGNALLED, UsageError } from '../errors.js';
import { explain } from '../explain.js';
import { list } from '../format/output.js';
import { compile } from '../format/template.js';
import { stringifyExact } from '../../oci/json.js';
import { pairs } from '../options/environment.js';
import { accepting } from '../options/prune-filter.js';
import { withSession } from '../session.js';
import { ask } from '../terminal/ask.js';

const SHOWN_DIGITS = 12;
const DRIVERS = ['bridge', 'macvlan', 'ipvlan'] as const;

export interface NetworksFlags {
  readonly quiet?: boolean;
  readonly trunc?: boolean;
  readonly filter?: string[];
  readonly format?: string;
}

export async function networksCommand(flags: NetworksFlags, globals: Globals): Promise<void> {
  const accepts = (flags.filter ?? []).map(filterOf);
  const networks = await withSession(globals, ({ client }) => client.networks.list());
  const records = networks
    .filter((network) => accepts.every((accept) => accept(network)))
    .map((network) => ({
      ID: flags.trunc === false ? network.id : network.id.slice(0, SHOWN_DIGITS),
      Name: network.name,
      Driver: network.driver,
      Scope: 'local',
      Subnets: network.subnets.map(({ subnet }) => subnet).join(','),
      File: network.file,
      Internal: String(network.internal),
      CreatedAt: network.createdAt?.toISOString() ?? '',
      Labels: labelsText(network.labels),
    }));
  // They are no configurations, have no id, and are always there.
  const built = flags.quiet || (flags.filter ?? []).length > 0 ? [] : ['host', 'none'].map(builtIn);
  const columns = { 'NETWORK ID': 'ID', NAME: 'Name', DRIVER: 'Driver', SUBNETS: 'Subnets', FILE: 'File' };
  process.stdout.write(
    list([...records, ...built], columns, { format: flags.format, quiet: flags.quiet, idKey: 'ID' }),
  );
}

function builtIn(name: string): Record<string, string> {
  return {
    ID: '',
    Name: name,
    Driver: name === 'host' ? 'host' : 'null',
    Scope: 'local',
    Subnets: '',
    File: '',
    Internal: 'false',
    CreatedAt: '',
    Labels: '',
  };
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

function filterOf(text: string): (network: Network) => boolean {
  const at = text.indexOf('=');
  const [name, value] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  switch (name) {
    case 'name':
      return (network) => network.name.includes(value);
    case 'id':
      return ({ id }) => id.startsWith(value);
    case 'driver':
      return ({ driver }) => driver === value;
    case 'label': {
      const equals = value.indexOf('=');
      const [label, wanted] = equals < 0 ? [value, undefined] : [value.slice(0, equals), value.slice(equals + 1)];
      return ({ labels }) => (wanted === undefined ? label in labels : labels[label] === wanted);
    }
    default:
      throw new UsageError(`--filter ${JSON.stringify(text)}: there are name, id, driver and label`, 'network ls');
  }
}

export interface CreateNetworkFlags {
  readonly driver?: string;
  readonly subnet?: string[];
  readonly gateway?: string[];
  readonly ipRange?: string;
  readonly ipv6?: boolean;
  readonly internal?: boolean;
  readonly opt?: string[];
  readonly label?: string[];
}

export async function createNetworkCommand(name: string, flags: CreateNetworkFlags, globals: Globals): Promise<void> {
  const driver = DRIVERS.find((one) => one === (flags.driver ?? 'bridge'));
  if (driver === undefined)
    throw new UsageError(`--driver ${flags.driver ?? ''}: there are ${DRIVERS.join(', ')}`, 'network create');
  const options: NetworkCreateOptions = {
    name,
    driver,
    subnets: flags.subnet,
    gateways: flags.gateway,
    ipRange: flags.ipRange,
    ipv6: flags.ipv6,
    internal: flags.internal,
    options: pairs(flags.opt, '--opt'),
    labels: pairs(flags.label, '--label'),
  };
  const { id } = await withSession(globals, ({ client }) => client.networks.create(options));
  process.stdout.write(`${id}\n`);
}

export async function inspectNetworksCommand(
  names: readonly string[],
  { format }: { format?: string },
  globals: Globals,
): Promise<void> {
  const render = format === undefined || format === 'json' ? undefined : compile(format);
  const { found, failed } = await eachNetwork(names, globals, async ({ client }, name) =>
    describe(await client.networks.inspect(name)),
  );
  if (render) for (const one of found) process.stdout.write(`${render(one)}\n`);
  else process.stdout.write(`${stringifyExact(found, format === 'json' ? 0 : 4)}\n`);
  if (failed !== 0) throw new Exit(failed);
}

/** docker's form. */
function describe(network: NetworkDetails): Record<string, unknown> {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt?.toISOString() ?? '',
    Scope: 'local',
    Driver: network.driver,
    EnableIPv6: network.subnets.some(({ subnet }) => subnet.includes(':')),
    IPAM: {
      Config: network.subnets.map(({ subnet, gateway }) => ({
        Subnet: subnet,
        ...(gateway ? { Gateway: gateway } : {}),
      })),
    },
    Internal: network.internal,
    Containers: Object.fromEntries(
      network.members.map(({ id, namespace, name, attachment }) => [
        id,
        {
          Name: name,
          Namespace: namespace,
          EndpointID: '',
          MacAddress: attachment?.mac ?? '',
          IPv4Address: attachment?.addresses.find((one) => !one.includes(':')) ?? '',
          IPv6Address: attachment?.addresses.find((one) => one.includes(':')) ?? '',
        },
      ]),
    ),
    Labels: network.labels,
    File: network.file,
    CNI: network.config,
  };
}

export async function removeNetworksCommand(
  names: readonly string[],
  { force = false }: { force?: boolean },
  globals: Globals,
): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  const { failed } = await eachNetwork(names, globals, async ({ client }, name) => {
    try {
      await client.networks.remove(name);
    } catch (error) {
      if (force && error instanceof NotFoundError) return;
      throw error;
    }
    process.stdout.write(`${name}\n`);
  });
  if (failed !== 0) throw new Exit(failed);
}

export async function pruneNetworksCommand(
  { force = false, filter }: { force?: boolean; filter?: string[] },
  globals: Globals,
): Promise<void> {
  const accepts = accepting(filter);
  if (!force) {
    if (!process.stdin.isTTY)
      throw new CliError('network prune: standard input is no terminal to ask at: say -f when it is meant');
    const answer = await ask('This removes the networks that Hawser has made and no container uses. Go on? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
  }
  const removed = await withSession(globals, ({ client }) => client.networks.prune({ filter: accepts }));
  for (const name of removed) process.stdout.write(`${name}\n`);
}

export async function portCommand(reference: string, port: string | undefined, globals: Globals): Promise<void> {
  await withSession(globals, async (session) => {
    const { id, record } = await session.find(reference);
    const { ports } = session.client.networks.of(id, record.labels);
    const wanted = port === undefined || port.includes('/') ? port : `${port}/tcp`;
    const lines = ports.flatMap((one) => {
      const [host = '', own = ''] = portText(one).split('->');
      if (wanted === undefined) return [`${own} -> ${host}`];
      return own === wanted ? [host] : [];
    });
    if (wanted !== undefined && lines.length === 0)
      throw new CliError(`container ${reference}: its port ${wanted} is not published`);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  });
}

/** Goes on when one fails. */
async function eachNetwork<T>(
  names: readonly string[],
  globals: Globals,
  work: (session: Parameters<Parameters<typeof withSession>[1]>[0], name: string) => Promise<T>,
): Promise<{ found: T[]; failed: number }> {
  return withSession(globals, async (session) => {
    const found: T[] = [];
    let failed = 0;
    for (const name of names) {
      try {
        found.push(await work(session, name));
      } catch (error) {
        const { text, exitCode } = explain(error);
        process.stderr.write(`hawser: ${text}\n`);
        failed = exitCode;
      }
    }
    return { found, failed };
  });
}
