/** What a container that is being made gets of networks: files for /etc, hooks, and its directory of states. */
import { existsSync } from 'node:fs';
import { hostname as hostName } from 'node:os';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { NotFoundError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import { packSpec, recordOf, statusOf } from '../record.js';
import type { ContainerRecord } from '../types/container.js';
import type { ImageConfig } from '../image/types.js';
import type { Spec, SpecMount, SpecOptions } from '../spec/types.js';
import { hasCapability } from './cni/config.js';
import { invalid, notFound, precondition } from './failure.js';
import { checkExtraHost, HOST_FILES, hostHostsText, hostsText, resolvText, writeEtc } from './files.js';
import { addHooks } from './hook/command.js';
import { withLock } from './lock.js';
import type { Places } from './places.js';
import { choosePorts, listeningPorts, parsePorts, type WantedPort } from './ports.js';
import { pinOf, release } from './set-up.js';
import {
  allDirectories,
  directoryOf,
  FILES,
  readRequest,
  removeDirectory,
  writeRequest,
  type Request,
  type Resolving,
  type Wanted,
} from './state.js';
import { readyNetwork } from './store.js';
import type { NetworkOptions, PortMapping } from './types.js';

/** A label: names of a container's networks, or how else it has one. */
export const NETWORKS_LABEL = 'io.hawser/networks';
const CONTAINER = 'container:';
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;
const MAX_INTERFACES = 16;

export interface NetworkContext {
  readonly services: Services;
  readonly places: Places;
  readonly address: string;
  readonly namespace: string;
  /** Of the daemon and the namespace. */
  readonly scope: string;
}

type Options = NetworkOptions &
  Pick<SpecOptions, 'mounts' | 'hostname' | 'domainname' | 'readonlyRootfs'> & { readonly id: string };

/** What is to be done, in the order in which a container is made. */
export interface NetworkPlan {
  /** For the spec, instead of what was asked for. */
  readonly options: Pick<SpecOptions, 'network' | 'mounts' | 'hostname'>;
  readonly labels: Readonly<Record<string, string>>;
  /** Of networks, or `none`, `host`, `container:ID`; undefined for a namespace that somebody else has made. */
  readonly names: readonly string[] | undefined;
  /** Adds the hooks. */
  finish(spec: Spec): void;
  /** Writes the directory, once there is a record of the container. */
  settle(spec: Spec): Promise<void>;
  /** Takes that back. */
  undo(): void;
}

/** How a container has a network. */
type Kind =
  | { readonly kind: 'none' | 'host' }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'container'; readonly id: string }
  | { readonly kind: 'networks'; readonly names: readonly string[] };

/** @throws InvalidArgumentError, FailedPreconditionError that says which package is missing, NotFoundError for a network or a container */
export async function planNetwork(
  context: NetworkContext,
  options: Options,
  config: ImageConfig | undefined,
): Promise<NetworkPlan> {
  const kind = kindOf(options.network);
  const asked = parsePorts(options.ports);
  checkOptions(options, kind, asked);
  // The host's network has all ports as it is: docker passes over what is asked for there, too.
  const ports =
    kind.kind === 'networks' ? [...asked, ...(options.publishAll === true ? exposed(options, config) : [])] : [];
  const { places, scope } = context;
  const dir = directoryOf(places, scope, options.id);
  const wanted = kind.kind === 'networks' ? await wantedOf(places, kind.names, options, ports) : [];
  const shared = kind.kind === 'container' ? await shareOf(context, kind.id) : undefined;
  const resolving: Resolving = {
    dns: (options.dns ?? []).map(checkServer),
    search: options.dnsSearch ?? [],
    options: options.dnsOptions ?? [],
  };
  const extraHosts = (options.extraHosts ?? []).map(checkExtraHost);
  const isHost = kind.kind === 'host' || shared?.network === 'host';
  const own = ownFiles(isHost, resolving, extraHosts);
  const mounts = [
    ...(options.mounts ?? []),
    ...mountsOf(shared?.dir ?? dir, shared === undefined ? own : FILES, options).filter(
      ({ source }) => shared === undefined || existsSync(source ?? ''),
    ),
  ];
  const network = shared?.network ?? (kind.kind === 'path' ? kind.path : kind.kind === 'networks' ? 'none' : kind.kind);
  const hostname = options.hostname ?? shared?.hostname;
  const said = kind.kind === 'networks' ? wanted.map(({ name }) => name) : [textOfKind(kind)];
  return {
    options: { network, mounts, ...(hostname === undefined ? {} : { hostname }) },
    // A value may have some 4000 bytes in containerd.
    labels: { [NETWORKS_LABEL]: said.join(',') },
    names: kind.kind === 'path' ? undefined : said,
    finish: (spec) => {
      if (wanted.length > 0) addHooks(spec, dir);
    },
    settle: (spec) =>
      withLock(places.stateDir, async () => {
        // Of a container of the same id that somebody else has removed.
        await release(dir);
        const request: Request = {
          version: 1,
          id: options.id,
          namespace: context.namespace,
          address: context.address,
          name: options.id,
          hostname: spec.hostname ?? hostName(),
          ...(options.domainname ? { domainname: options.domainname } : {}),
          aliases: options.networkAliases ?? [],
          networks: said,
          wanted,
          ports: portsOf(places, ports),
          resolving,
          extraHosts,
          places,
        };
        removeDirectory(dir);
        writeRequest(dir, request);
        if (shared !== undefined) return;
        writeEtc(dir, 'hostname', `${request.hostname}\n`);
        if (own.includes('hosts'))
          writeEtc(dir, 'hosts', isHost ? hostHostsText(extraHosts) : hostsText(request, [], []));
        if (own.includes('resolv.conf')) writeEtc(dir, 'resolv.conf', resolvText(resolving));
      }),
    undo: () => removeDirectory(dir),
  };
}

function kindOf(network: NetworkOptions['network'] = 'none'): Kind {
  const names = (typeof network === 'string' ? [network] : [...network]).filter((name) => name !== '');
  const [first = 'none'] = names;
  const isSpecial = (name: string): boolean => ['none', 'host'].includes(name) || /^\/|^container:/.test(name);
  if (names.length > 1) {
    const special = names.find(isSpecial);
    if (special !== undefined) throw invalid(`network ${special} cannot be had besides others`);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw invalid(`network ${twice} is named twice`);
    if (names.length > MAX_INTERFACES) throw invalid(`${names.length} networks are more than ${MAX_INTERFACES}`);
  }
  if (first === 'none' || first === 'host') return { kind: first };
  if (first.startsWith('/')) return { kind: 'path', path: first };
  if (first.startsWith(CONTAINER)) return { kind: 'container', id: first.slice(CONTAINER.length) };
  return { kind: 'networks', names };
}

function textOfKind(kind: Exclude<Kind, { kind: 'networks' }>): string {
  return kind.kind === 'path' ? kind.path : kind.kind === 'container' ? `${CONTAINER}${kind.id}` : kind.kind;
}

function checkOptions(options: Options, kind: Kind, ports: readonly WantedPort[]): void {
  const { ip, macAddress, networkAliases = [], dns = [], dnsSearch = [], dnsOptions = [], extraHosts = [] } = options;
  const refuse = (what: string): never => {
    throw invalid(`${what} ${kind.kind === 'networks' ? '' : `cannot be had with network ${textOfKind(kind)}`}`.trim());
  };
  if (kind.kind !== 'networks') {
    if (ports.length > 0 && kind.kind !== 'host') refuse('published ports');
    if (ip !== undefined) refuse('an address');
    if (macAddress !== undefined) refuse('a hardware address');
    if (networkAliases.length > 0) refuse('an alias');
  }
  if (kind.kind === 'container') {
    if ([dns, dnsSearch, dnsOptions, extraHosts].some((list) => list.length > 0))
      refuse('other servers and hosts than those of that container');
    if (options.hostname !== undefined) refuse('a host name of its own');
  }
  if (ip !== undefined && isIP(ip) === 0) throw invalid(`address ${JSON.stringify(ip)} is no IP address`);
  if (macAddress !== undefined && !MAC.test(macAddress))
    throw invalid(`hardware address ${JSON.stringify(macAddress)} is not like 02:42:ac:11:00:02`);
  const alias = networkAliases.find((one) => !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(one));
  if (alias !== undefined) throw invalid(`alias ${JSON.stringify(alias)} is no host name`);
}

function checkServer(address: string): string {
  if (isIP(address) === 0) throw invalid(`server of names ${JSON.stringify(address)} is no IP address`);
  return address;
}

async function wantedOf(
  places: Places,
  names: readonly string[],
  { ip, macAddress }: Options,
  ports: readonly WantedPort[],
): Promise<Wanted[]> {
  const configs = await withLock(places.stateDir, () => names.map((name) => readyNetwork(places, name)));
  if (ports.length > 0 && !configs.some((config) => hasCapability(config, 'portMappings')))
    throw precondition(
      `network ${names.join(', ')} publishes no ports: the plugin portmap is not in its configuration; leave out -p, or use another network`,
    );
  return configs.map(({ name }, i) => ({
    name,
    interface: `eth${i}`,
    args:
      i > 0
        ? []
        : [...(ip === undefined ? [] : [`IP=${ip}`]), ...(macAddress === undefined ? [] : [`MAC=${macAddress}`])],
  }));
}

/** The ports that it listens on, as its image says, and who makes it. */
function exposed({ expose = [] }: NetworkOptions, config: ImageConfig | undefined): WantedPort[] {
  return parsePorts([...new Set([...Object.keys(config?.ExposedPorts ?? {}), ...expose])]);
}

function portsOf(places: Places, wanted: readonly WantedPort[]): PortMapping[] {
  if (wanted.length === 0) return [];
  const theirs = allDirectories(places).flatMap((dir) => readRequest(dir)?.ports ?? []);
  return choosePorts(wanted, [...theirs, ...listeningPorts()]);
}

/** Those that are not the host's own. */
function ownFiles(isHost: boolean, { dns, search, options }: Resolving, extraHosts: readonly string[]): string[] {
  if (!isHost) return [...FILES];
  return [
    'hostname',
    ...(extraHosts.length > 0 || !existsSync(HOST_FILES.hosts) ? ['hosts'] : []),
    ...(dns.length + search.length + options.length > 0 || !existsSync(HOST_FILES['resolv.conf'])
      ? ['resolv.conf']
      : []),
  ];
}

/** What is mounted there is the container's own; what the user mounts comes first. */
function mountsOf(dir: string, files: readonly string[], { mounts = [], readonlyRootfs }: Options): SpecMount[] {
  return files
    .map((name) => ({ name, destination: `/etc/${name}` }))
    .filter(({ destination }) => !mounts.some((mount) => mount.destination === destination))
    .map(({ name, destination }) => ({
      destination,
      type: 'bind',
      source: join(dir, name),
      options: ['rbind', 'rprivate', ...(readonlyRootfs === true ? ['ro'] : [])],
    }));
}

interface Share {
  /** For the spec: the host's, or the path of a namespace. */
  readonly network: string;
  readonly hostname: string | undefined;
  /** Where the files for its /etc are. */
  readonly dir: string;
}

/** What of another container's network is shared. */
async function shareOf(context: NetworkContext, id: string): Promise<Share> {
  const { services, places, scope } = context;
  let spec: Spec;
  try {
    spec = recordOf((await services.containers.Get({ id })).container ?? {}).spec;
  } catch (error) {
    if (error instanceof NotFoundError) throw notFound(`container ${id}, whose network is to be shared, is not there`);
    throw error;
  }
  const dir = directoryOf(places, scope, id);
  const namespace = spec.linux?.namespaces?.find(({ type }) => type === 'network');
  return {
    network: namespace === undefined ? 'host' : namespace.path || (await namespacePath(context, id)),
    hostname: spec.hostname,
    // It may itself share another's.
    dir: sourceDirectory(spec) ?? dir,
  };
}

function sourceDirectory(spec: Spec): string | undefined {
  const source = spec.mounts?.find(({ destination }) => destination === '/etc/hostname')?.source;
  return source?.replace(/\/hostname$/, '');
}

/** Where a running container's network namespace is: held for those in networks, else that of its first process. */
async function namespacePath({ services, places, scope }: NetworkContext, id: string): Promise<string> {
  const dir = directoryOf(places, scope, id);
  if ((readRequest(dir)?.wanted.length ?? 0) > 0) return pinOf(dir, places);
  const pid = await runningPid(services, id);
  if (pid === undefined) throw notRunning(id);
  return `/proc/${pid}/ns/net`;
}

async function runningPid({ tasks }: Services, id: string): Promise<number | undefined> {
  try {
    const { state, pid } = statusOf(id, (await tasks.Get({ containerId: id })).process ?? {});
    return state === 'stopped' || pid === 0 ? undefined : pid;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/**
 * Before a container is started that shares another's network: that must run, and its namespace may be another one than when the container
 * was made.
 *
 * @returns the record, with the namespace that it is now
 * @throws FailedPreconditionError when the other one does not run
 */
export async function joinAgain(context: NetworkContext, record: ContainerRecord): Promise<ContainerRecord> {
  const said = record.labels[NETWORKS_LABEL];
  if (said?.startsWith(CONTAINER) !== true) return record;
  const id = said.slice(CONTAINER.length);
  const { network } = await shareOf(context, id);
  if ((await runningPid(context.services, id)) === undefined) throw notRunning(id);
  const namespace = record.spec.linux?.namespaces?.find(({ type }) => type === 'network');
  if (network === 'host' || namespace === undefined || namespace.path === network) return record;
  const spec = structuredClone(record.spec);
  spec.linux!.namespaces!.find(({ type }) => type === 'network')!.path = network;
  const { container } = await context.services.containers.Update({
    container: { id: record.id, spec: packSpec(spec) },
    updateMask: { paths: ['spec'] },
  });
  return recordOf(container ?? {});
}

function notRunning(id: string): Error {
  return precondition(`container ${id}, whose network is to be shared, does not run: start it first`);
}
