/** Makes the configuration of a network, by the plugins that come with the standard. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { contains, nth, overlap, parseSubnet, subnetText, type Subnet } from './addresses.js';
import { subnetsOf, type NetworkConfig, type PluginConfig } from './cni/config.js';
import { codeOf, invalid, precondition } from './failure.js';
import type { NetworkCreateOptions } from './types.js';

/** The network that is there by default. */
export const DEFAULT_NETWORK = 'bridge';
const DEFAULT_BRIDGE = 'hawser0';
/** Of 2021, so that the plugins of Debian 11 and Ubuntu 22.04 know it. */
const CNI_VERSION = '0.4.0';
/** Where subnets are taken from that nobody has chosen; none of docker's, podman's or nerdctl's. */
const POOL = { first: '10.67', count: 256 };
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const MAX_NAME = 76;
/** IFNAMSIZ of the kernel, less the end. */
const MAX_INTERFACE = 15;
/** docker's names of options, and ours. */
const OPTIONS: Readonly<Record<string, 'mtu' | 'bridge' | 'parent' | 'mode'>> = {
  mtu: 'mtu',
  'com.docker.network.driver.mtu': 'mtu',
  bridge: 'bridge',
  'com.docker.network.bridge.name': 'bridge',
  parent: 'parent',
  mode: 'mode',
  macvlan_mode: 'mode',
  ipvlan_mode: 'mode',
};
const MODES = {
  macvlan: ['bridge', 'private', 'vepa', 'passthru'],
  ipvlan: ['l2', 'l3', 'l3s'],
} as const;

/** The standard has no ids: one that stays is made of the name. */
export function networkId(name: string): string {
  return createHash('sha256').update(`network ${name}`).digest('hex');
}

/** @throws InvalidArgumentError */
export function checkNetworkName(name: string): void {
  if (!NAME.test(name) || name.length > MAX_NAME)
    throw invalid(
      `network ${JSON.stringify(name)}: a name begins with a letter or digit, and has letters, digits, - _ and ., ${MAX_NAME} at most`,
    );
  if (['none', 'host', 'default', 'container'].includes(name))
    throw invalid(`network ${name}: this name is for a network that is no configuration: choose another`);
}

/**
 * A configuration, as it is to be written.
 *
 * @param known networks that are there, whose subnets are not used again
 * @param dataDir where addresses that are in use are written down
 */
export function makeConfig(
  options: NetworkCreateOptions,
  known: readonly NetworkConfig[],
  dataDir: string,
): Record<string, unknown> {
  const { name, driver = 'bridge', internal = false, labels = {} } = options;
  const settings = settingsOf(options);
  const subnets = chooseSubnets(options, known);
  const ipam = {
    type: 'host-local',
    dataDir,
    ranges: subnets.map((subnet) => [rangeOf(subnet, options, subnet === subnets[0])]),
    ...(internal ? {} : { routes: subnets.map(({ family }) => ({ dst: family === 'ipv6' ? '::/0' : '0.0.0.0/0' })) }),
  };
  const mtu = settings.mtu === undefined ? {} : { mtu: number(name, settings.mtu) };
  const plugins: PluginConfig[] =
    driver === 'bridge'
      ? [
          {
            type: 'bridge',
            bridge: bridgeName(name, settings.bridge, known),
            isGateway: !internal,
            ipMasq: !internal,
            hairpinMode: true,
            ...mtu,
            ipam,
          },
          ...(internal ? [] : [{ type: 'portmap', capabilities: { portMappings: true } }]),
          // Where others forbid to pass on what comes, as docker does; and bridges are kept apart.
          { type: 'firewall', ingressPolicy: 'same-bridge' },
          { type: 'tuning' },
        ]
      : [{ type: driver, ...parentOf(driver, settings), ...mtu, ipam }, { type: 'tuning' }];
  return {
    cniVersion: CNI_VERSION,
    name,
    hawser: { labels, createdAt: new Date().toISOString(), internal },
    plugins,
  };
}

/** The file of a network that Hawser makes. */
export function fileOf(confDir: string, name: string): string {
  return join(confDir, `hawser-${name}.conflist`);
}

type Settings = Partial<Record<'mtu' | 'bridge' | 'parent' | 'mode', string>>;

function settingsOf({ name, options = {} }: NetworkCreateOptions): Settings {
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => {
      const known = OPTIONS[key];
      if (known === undefined)
        throw invalid(
          `network ${name}: there is no option ${JSON.stringify(key)}; there are mtu, bridge, parent and mode`,
        );
      return [known, value];
    }),
  );
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 68 || value > 65_535)
    throw invalid(`network ${name}: mtu ${JSON.stringify(text)} is no number from 68 to 65535`);
  return value;
}

function bridgeName(name: string, given: string | undefined, known: readonly NetworkConfig[]): string {
  const bridge = given ?? (name === DEFAULT_NETWORK ? DEFAULT_BRIDGE : `br-${networkId(name).slice(0, 12)}`);
  if (!/^[^\s/:]+$/.test(bridge) || bridge.length > MAX_INTERFACE)
    throw invalid(
      `network ${name}: ${JSON.stringify(bridge)} is no name of an interface, which has ${MAX_INTERFACE} letters at most`,
    );
  const other = known.find(({ plugins }) => plugins.some((plugin) => plugin.bridge === bridge));
  if (other !== undefined)
    throw precondition(`network ${name}: interface ${bridge} is that of network ${other.name}: choose another`);
  return bridge;
}

function parentOf(driver: 'macvlan' | 'ipvlan', { parent, mode }: Settings): Record<string, string> {
  const modes: readonly string[] = MODES[driver];
  if (mode !== undefined && !modes.includes(mode))
    throw invalid(`mode ${JSON.stringify(mode)} of ${driver}: there are ${modes.join(', ')}`);
  return {
    // Without one the plugin takes the interface that leads to everywhere.
    ...(parent === undefined ? {} : { master: parent }),
    ...(mode === undefined ? {} : { mode }),
  };
}

function rangeOf(
  subnet: Subnet,
  { name, gateways = [], ipRange }: NetworkCreateOptions,
  isFirst: boolean,
): Record<string, string> {
  const gateway = gateways.find((one) => isIPv6(one) === (subnet.family === 'ipv6')) ?? nth(subnet, 1);
  if (!contains(subnet, gateway))
    throw invalid(`network ${name}: gateway ${gateway} is not in its subnet ${subnetText(subnet)}`);
  if (ipRange === undefined || !isFirst) return { subnet: subnetText(subnet), gateway };
  const range = parseSubnet(ipRange);
  if (range?.family !== subnet.family || !overlap(range, subnet) || range.prefix < subnet.prefix)
    throw invalid(`network ${name}: the range ${ipRange} is no part of its subnet ${subnetText(subnet)}`);
  // What a subnet itself is called, and its broadcast address, are nobody's.
  const [first, last] = range.prefix === subnet.prefix ? [1, -2] : [0, -1];
  const end = range.family === 'ipv4' && nth(range, -1) === nth(subnet, -1) ? -2 : last;
  const start = range.address === subnet.address ? 1 : first;
  return { subnet: subnetText(subnet), gateway, rangeStart: nth(range, start), rangeEnd: nth(range, end) };
}

function chooseSubnets(
  { name, subnets = [], ipv6 = false }: NetworkCreateOptions,
  known: readonly NetworkConfig[],
): Subnet[] {
  const theirs = known.flatMap((config) =>
    subnetsOf(config).flatMap(({ subnet }) => {
      const parsed = parseSubnet(subnet);
      return parsed === undefined ? [] : [{ subnet: parsed, of: config.name }];
    }),
  );
  const given = subnets.map((text) => {
    const subnet = parseSubnet(text);
    const room = subnet?.family === 'ipv6' ? 126 : 30;
    if (subnet === undefined || subnet.prefix > room)
      throw invalid(
        `network ${name}: subnet ${JSON.stringify(text)} is not like 10.1.0.0/24, with a prefix of ${room} at most`,
      );
    const other = theirs.find((one) => overlap(one.subnet, subnet));
    if (other !== undefined)
      throw precondition(
        `network ${name}: subnet ${text} overlaps with ${subnetText(other.subnet)} of network ${other.of}: choose another`,
      );
    return subnet;
  });
  for (const [i, one] of given.entries())
    if (given.some((other, j) => j !== i && overlap(one, other))) throw invalid(`network ${name}: its subnets overlap`);
  const others = [...theirs.map(({ subnet }) => subnet), ...hostSubnets()];
  const chosen = given.length === 0 ? [freeSubnet(name, others)] : [...given];
  if (ipv6 && !chosen.some(({ family }) => family === 'ipv6')) chosen.push(uniqueLocal());
  return chosen;
}

function freeSubnet(name: string, used: readonly Subnet[]): Subnet {
  for (let i = 0; i < POOL.count; i++) {
    const subnet = parseSubnet(`${POOL.first}.${i}.0/24`)!;
    if (!used.some((other) => overlap(subnet, other))) return subnet;
  }
  throw precondition(`network ${name}: no subnet of ${POOL.first}.0.0/16 is free: give one with --subnet`);
}

/** RFC 4193: 40 random bits, which nobody else is expected to have. */
function uniqueLocal(): Subnet {
  const hex = randomBytes(5).toString('hex');
  return parseSubnet(`fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6)}::/64`)!;
}

/** Those that the host is in, or has a way to. */
function hostSubnets(): Subnet[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ cidr }) => cidr ?? ''));
  return [...addresses, ...routes()].flatMap((text) => {
    const subnet = parseSubnet(text);
    // A way to everywhere is none to anybody.
    return subnet === undefined || subnet.prefix === 0 ? [] : [subnet];
  });
}

function routes(): string[] {
  let text: string;
  try {
    text = readFileSync('/proc/net/route', 'latin1');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const decimal = (hex: string): string =>
    (hex.match(/../g) ?? [])
      .reverse()
      .map((byte) => parseInt(byte, 16))
      .join('.');
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, destination, , , , , , mask] = line.split('\t');
      if (destination === undefined || mask === undefined) return [];
      const length = parseInt(mask, 16).toString(2).replace(/0/g, '').length;
      return [`${decimal(destination)}/${length}`];
    });
}
