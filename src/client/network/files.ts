/** A container's /etc/hosts, /etc/resolv.conf and /etc/hostname. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { codeOf, invalid } from './failure.js';
import type { Request, Resolving } from './state.js';
import type { NetworkAttachment } from './types.js';

/** The host's own. */
export const HOST_FILES = { hosts: '/etc/hosts', 'resolv.conf': '/etc/resolv.conf' } as const;
/** systemd-resolved's servers: those of the other file are an address of the host's own loopback (systemd-resolved.service(8)). */
const RESOLVED = '/run/systemd/resolve/resolv.conf';
/** Where all servers are the host's own loopback, which no container reaches: docker's. */
const PUBLIC = ['8.8.8.8', '8.8.4.4'];
/** Around what is kept up to date while the container runs. What it writes elsewhere itself stays. */
const [BEGIN, END] = ['# <hawser>', '# </hawser>'];
const LOCAL = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

/** A container that others find by its names. */
export interface Neighbour {
  readonly names: readonly string[];
  readonly attachments: readonly NetworkAttachment[];
}

/** `NAME:ADDRESS`. @throws InvalidArgumentError */
export function checkExtraHost(text: string): string {
  const [, name = '', address = ''] = /^([^:=\s]+)[:=]\s*\[?([^\]\s]+)\]?$/.exec(text) ?? [];
  if (name === '' || (address !== 'host-gateway' && isIP(address) === 0))
    throw invalid(
      `extra host ${JSON.stringify(text)}: it is NAME:ADDRESS, with an IP address or host-gateway, such as db:10.0.0.5`,
    );
  return `${name}:${address}`;
}

/** The whole of /etc/hosts. */
export function hostsText(
  request: Pick<Request, 'extraHosts' | 'hostname' | 'domainname' | 'name' | 'id' | 'aliases'>,
  attachments: readonly NetworkAttachment[],
  neighbours: readonly Neighbour[],
): string {
  const gateway = attachments.flatMap(({ gateways }) => gateways)[0];
  const extra = request.extraHosts.flatMap((line) => {
    const at = line.indexOf(':');
    const [name, given] = [line.slice(0, at), line.slice(at + 1)];
    const address = given === 'host-gateway' ? gateway : given;
    return address === undefined ? [] : [`${address}\t${name}`];
  });
  return `${[...LOCAL, ...extra, ...blockLines(request, attachments, neighbours)].join('\n')}\n`;
}

/** An /etc/hosts with the part that is Hawser's renewed; undefined when the container has removed it. */
export function renewedHosts(
  text: string,
  request: Request,
  attachments: readonly NetworkAttachment[],
  neighbours: readonly Neighbour[],
): string | undefined {
  const lines = text.split('\n');
  const [from, to] = [lines.indexOf(BEGIN), lines.indexOf(END)];
  if (from < 0 || to < from) return undefined;
  return [...lines.slice(0, from), ...blockLines(request, attachments, neighbours), ...lines.slice(to + 1)].join('\n');
}

function blockLines(
  request: Pick<Request, 'hostname' | 'domainname' | 'name' | 'id' | 'aliases'>,
  attachments: readonly NetworkAttachment[],
  neighbours: readonly Neighbour[],
): string[] {
  const { hostname, domainname } = request;
  // The whole name first: it is what `hostname -f` finds.
  const whole = domainname === undefined ? [] : [`${hostname}.${domainname}`];
  const own = [...new Set([...whole, hostname, ...namesOf(request)])].filter(Boolean).join(' ');
  const networks = new Set(attachments.map(({ network }) => network));
  const others = neighbours.flatMap(({ names, attachments: theirs }) =>
    theirs
      .filter(({ network }) => networks.has(network))
      .flatMap(({ network, addresses }) =>
        addresses.map((address) => `${bare(address)}\t${names.flatMap((one) => [one, `${one}.${network}`]).join(' ')}`),
      ),
  );
  const self = attachments.flatMap(({ addresses }) => addresses.map((address) => `${bare(address)}\t${own}`));
  // So that it finds its own name without a network, too.
  const alone = self.length === 0 && own !== '' ? [`127.0.1.1\t${own}`] : self;
  return [BEGIN, ...alone, ...others, END];
}

/** The host's own /etc/hosts, and more. */
export function hostHostsText(extraHosts: readonly string[]): string {
  const lines = extraHosts.map((one) => {
    const at = one.indexOf(':');
    const address = one.slice(at + 1);
    // The host is where it is itself.
    return `${address === 'host-gateway' ? '127.0.0.1' : address}\t${one.slice(0, at)}\n`;
  });
  return `${(readHost(HOST_FILES.hosts) ?? '127.0.0.1\tlocalhost').replace(/\n?$/, '\n')}${lines.join('')}`;
}

/** How others call a container. */
export function namesOf({
  id,
  name,
  hostname,
  aliases,
}: Pick<Request, 'id' | 'name' | 'hostname' | 'aliases'>): string[] {
  // Nobody writes 64 digits; the first 12 are the host name that docker gives.
  const short = (text: string): string => (/^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text);
  return [...new Set([short(name), short(id), hostname, ...aliases])].filter((one) => one !== '' && !/\s/.test(one));
}

function bare(address: string): string {
  return address.split('/')[0]!;
}

/** The whole of /etc/resolv.conf: the host's, but for what is given. @param read gives a file of the host's, or nothing */
export function resolvText(
  { dns, search, options }: Resolving,
  read: (path: string) => string | undefined = readHost,
): string {
  const stub = read(HOST_FILES['resolv.conf']) ?? '';
  const servers = serversOf(stub);
  const isStub = servers.length > 0 && servers.every(isLoopback);
  const host = (isStub ? read(RESOLVED) : undefined) ?? stub;
  const reachable = serversOf(host).filter((address) => !isLoopback(address));
  const lines = host.split('\n').map((line) => line.trim().split(/\s+/));
  const last = (word: string): string[] =>
    lines
      .filter(([first]) => first === word || (word === 'search' && first === 'domain'))
      .at(-1)
      ?.slice(1) ?? [];
  const domains = search.length > 0 ? search.filter((one) => one !== '.') : last('search').filter((one) => one !== '.');
  const settings = options.length > 0 ? options : lines.flatMap(([word, ...rest]) => (word === 'options' ? rest : []));
  return [
    ...(dns.length > 0 ? dns : reachable.length > 0 ? reachable : PUBLIC).map((address) => `nameserver ${address}`),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}`] : []),
    ...(settings.length > 0 ? [`options ${settings.join(' ')}`] : []),
    '',
  ].join('\n');
}

function serversOf(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = '']) => address);
}

function isLoopback(address: string): boolean {
  return /^127\.|^::1$/.test(address);
}

function readHost(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file for a container: in its place, as it may be mounted somewhere already. */
export function writeEtc(dir: string, name: string, text: string): void {
  const path = join(dir, name);
  writeFileSync(path, text);
  // Whatever this program's umask is.
  chmodSync(path, 0o644);
}

/** Renews the part of a running container's /etc/hosts that is about others. */
export function renewEtcHosts(
  dir: string,
  request: Request,
  attachments: readonly NetworkAttachment[],
  neighbours: readonly Neighbour[],
): void {
  const path = join(dir, 'hosts');
  if (!existsSync(path)) return;
  const before = readFileSync(path, 'utf8');
  const now = renewedHosts(before, request, attachments, neighbours);
  if (now !== undefined && now !== before) writeFileSync(path, now);
}
