/**
 * What a container that nerdctl has made has of networks, by what it lets others know: its labels, and what CNI's own library keeps of each network that
 * it takes a container into, while it is there (its "cache", /var/lib/cni/results). The files of nerdctl itself are not read.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NAMESPACE, networksOf, PORTS } from '../nerdctl.js';
import { isObject } from './cni/config.js';
import { attachmentOf } from './cni/result.js';
import { codeOf } from './failure.js';
import type { ContainerNetwork, NetworkAttachment, PortMapping } from './types.js';

const RESULTS = '/var/lib/cni/results';
/** The library's word for the form of such a file. */
const KIND = 'cniCacheV1';

type Labels = Readonly<Record<string, string>>;

/** @param dir where CNI's library keeps what it has done */
export function foreignNetwork(id: string, labels: Labels, dir = RESULTS): ContainerNetwork {
  const kept = keptOf(id, labels, dir);
  // Older releases have them in a label, which is there when nothing runs, too.
  const written = portsOf(parsed(labels[PORTS]));
  return {
    networks: networksOf(labels),
    ports: written.length > 0 ? written : (kept.map(({ ports }) => ports).find((ports) => ports.length > 0) ?? []),
    attachments: kept.map(({ attachment }) => attachment),
  };
}

interface Kept {
  readonly attachment: NetworkAttachment;
  readonly ports: readonly PortMapping[];
}

/** By interface, as the first network has the first one. */
function keptOf(id: string, labels: Labels, dir: string): Kept[] {
  const namespace = labels[NAMESPACE];
  if (namespace === undefined) return [];
  const own = `${namespace}-${id}`;
  return namesIn(dir)
    .filter((name) => name.includes(`-${own}-`))
    .flatMap((name) => keptIn(parsed(textOf(join(dir, name))), own))
    .sort((a, b) => a.attachment.interface.localeCompare(b.attachment.interface, 'en', { numeric: true }));
}

function keptIn(file: unknown, containerId: string): Kept[] {
  if (!isObject(file) || file.kind !== KIND || file.containerId !== containerId) return [];
  const { networkName, ifName, netns, result, capabilityArgs } = file;
  if (typeof networkName !== 'string' || typeof ifName !== 'string' || ifName === 'lo' || !isObject(result)) return [];
  // One that was not given back, as after a restart of the machine.
  if (typeof netns === 'string' && !existsSync(netns)) return [];
  return [
    {
      attachment: attachmentOf(networkName, ifName, result),
      ports: portsOf(isObject(capabilityArgs) ? capabilityArgs.portMappings : undefined),
    },
  ];
}

/** As Go reads them: names of fields in any case. */
function portsOf(value: unknown): PortMapping[] {
  return (Array.isArray(value) ? value.filter(isObject) : []).flatMap((one) => {
    const fields = Object.fromEntries(Object.entries(one).map(([name, field]) => [name.toLowerCase(), field]));
    const { hostip = '', hostport, containerport, protocol = 'tcp' } = fields;
    if (typeof hostip !== 'string' || typeof hostport !== 'number' || typeof containerport !== 'number') return [];
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') return [];
    return [{ hostIp: hostip, hostPort: hostport, containerPort: containerport, protocol }];
  });
}

/** What another program has written, perhaps just now, is none of ours to judge. */
function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function namesIn(dir: string): string[] {
  return ifReadable(() => readdirSync(dir)) ?? [];
}

function textOf(path: string): string | undefined {
  return ifReadable(() => readFileSync(path, 'utf8'));
}

/** Undefined for what is not there, or not for this user: it is not known. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
