/** Ports that are published: what is asked for, and which of the host's are free. */
import { readFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { codeOf, invalid, precondition } from './failure.js';
import type { NetworkOptions, PortMapping } from './types.js';

/** Where any port is taken from: the IANA's dynamic ones, as docker does. */
const FIRST_FREE = 49_153;
const LAST_PORT = 65_535;
/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

type Protocol = PortMapping['protocol'];

/** A mapping of which the host's port may still be chosen: one of these. None is any. */
export interface WantedPort {
  readonly hostIp: string;
  readonly hostPorts: readonly number[];
  readonly containerPort: number;
  readonly protocol: Protocol;
}

/** @throws InvalidArgumentError that names what is wrong */
export function parsePorts(given: NetworkOptions['ports'] = []): WantedPort[] {
  return given.flatMap((one) => (typeof one === 'string' ? parse(one) : [fromObject(one)]));
}

function fromObject({
  hostIp = '',
  hostPort = 0,
  containerPort,
  protocol = 'tcp',
}: Partial<PortMapping> & Pick<PortMapping, 'containerPort'>): WantedPort {
  return { hostIp, hostPorts: hostPort === 0 ? [] : [hostPort], containerPort, protocol };
}

/** `[[IP:][HOSTPORT[-HOSTPORT]]:]PORT[-PORT][/PROTOCOL]` */
function parse(text: string): WantedPort[] {
  const fault = (why: string): never => {
    throw invalid(
      `port ${JSON.stringify(text)}: ${why}: it is [[IP:]HOSTPORT:]PORT[/tcp|udp|sctp], such as 8080:80 or 127.0.0.1:8053:53/udp`,
    );
  };
  const [, body = '', protocol = 'tcp'] = /^([^/]*)(?:\/(.*))?$/.exec(text) ?? [];
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
    return fault(`there is no protocol ${JSON.stringify(protocol)}`);
  const [, bracketed, plain, host, own = ''] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)??(?:([\d-]*):)?([\d-]+)$/.exec(body) ?? [];
  const hostIp = bracketed ?? plain ?? '';
  if (own === '') return fault('it cannot be read');
  if (hostIp !== '' && (isIP(hostIp) === 0 || isIPv6(hostIp) !== (bracketed !== undefined)))
    return fault(`${JSON.stringify(hostIp)} is no IP address${isIPv6(hostIp) ? ' in brackets' : ''}`);
  const containerPorts = range(own) ?? fault(`${own} is no port`);
  const hostPorts = host ? (range(host) ?? fault(`${host} is no port`)) : [];
  if (containerPorts.length > 1 && hostPorts.length > 0 && hostPorts.length !== containerPorts.length)
    return fault(`${host} and ${own} have not as many ports`);
  return containerPorts.map((containerPort, i) => ({
    hostIp,
    hostPorts: containerPorts.length === 1 ? hostPorts : hostPorts.slice(i, i + 1),
    containerPort,
    protocol,
  }));
}

function range(text: string): number[] | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === undefined || from < 1 || to < from || to > LAST_PORT) return undefined;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** A socket of the host's that somebody uses. */
export type UsedPort = Pick<PortMapping, 'hostIp' | 'hostPort' | 'protocol'>;

/** Whether two cannot be had at once: an empty address is all of them. */
export function clash(one: UsedPort, other: UsedPort): boolean {
  if (one.hostPort !== other.hostPort || one.protocol !== other.protocol) return false;
  return isAny(one.hostIp) || isAny(other.hostIp) || one.hostIp === other.hostIp;
}

function isAny(ip: string): boolean {
  return ip === '' || ip === '0.0.0.0' || ip === '::';
}

/**
 * Chooses the host's ports.
 *
 * @param used by others
 * @throws FailedPreconditionError when there is none left
 */
export function choosePorts(wanted: readonly WantedPort[], used: readonly UsedPort[]): PortMapping[] {
  const chosen: PortMapping[] = [];
  const fits = (one: UsedPort): boolean => ![...used, ...chosen].some((other) => clash(one, other));
  for (const { hostPorts, ...rest } of wanted) {
    // One that is asked for alone is taken as it is: whether it is free counts when the container starts.
    const [only] = hostPorts;
    const hostPort =
      hostPorts.length === 1
        ? only
        : (hostPorts.length > 0 ? hostPorts : anyPorts()).find((port) => fits({ ...rest, hostPort: port }));
    if (hostPort === undefined)
      throw precondition(
        `port ${rest.containerPort}/${rest.protocol}: no port of the host's is free in ${hostPorts[0] ?? FIRST_FREE}-${hostPorts.at(-1) ?? LAST_PORT}`,
      );
    const mapping = { ...rest, hostPort };
    if (chosen.some((other) => clash(mapping, other)))
      throw invalid(`port ${hostPort}/${rest.protocol} of the host's is asked for twice`);
    chosen.push(mapping);
  }
  return chosen;
}

/** From a random one on, so that a port that was just given back is not given again at once. */
function anyPorts(): number[] {
  const count = LAST_PORT - FIRST_FREE + 1;
  const from = Math.floor(Math.random() * count);
  return Array.from({ length: count }, (_, i) => FIRST_FREE + ((from + i) % count));
}

/** Ports on which programs of this network namespace listen. */
export function listeningPorts(): UsedPort[] {
  return (['tcp', 'tcp6', 'udp', 'udp6'] as const).flatMap((file) => {
    const protocol = file.startsWith('tcp') ? 'tcp' : 'udp';
    return readTable(`/proc/net/${file}`).flatMap((line) => {
      const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
      const [address = '', port = '0'] = local.split(':');
      // A socket of UDP that has a peer takes nothing from others.
      if (protocol === 'tcp' ? state !== LISTENING : !/^0+:0+$/.test(remote)) return [];
      return [{ hostIp: hexAddress(address), hostPort: parseInt(port, 16), protocol } as const];
    });
  });
}

function readTable(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n').slice(1).filter(Boolean);
  } catch (error) {
    // A kernel without IPv6.
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** As /proc/net writes addresses: words of 32 bits, each of the machine's byte order, which is little-endian. */
function hexAddress(hex: string): string {
  if (/^0+$/.test(hex)) return '';
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** As docker writes it: `0.0.0.0:8080->80/tcp`. */
export function portText({ hostIp, hostPort, containerPort, protocol }: PortMapping): string {
  const ip = hostIp === '' ? '0.0.0.0' : hostIp.includes(':') ? `[${hostIp}]` : hostIp;
  return `${ip}:${hostPort}->${containerPort}/${protocol}`;
}
