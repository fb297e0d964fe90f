/** Which hosts stand for a registry: mirrors first, itself last. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_DOMAIN } from '../../oci/image-name.js';
import { certificatesOf } from './certificates.js';
import { readHostsFile } from './hosts-file.js';
import { CAPABILITIES, type Host, type HostEntry } from './host-types.js';

export const DEFAULT_HOSTS_DIR = '/etc/containerd/certs.d';

/**
 * The hosts for a registry's domain, in the order in which they are asked: as containerd finds them (its docs/hosts.md). A
 * directory for the domain, or else one called `_default`, has a hosts.toml, or certificates alone, as docker's. Without any it is
 * the domain itself: by https, and by plain http on this machine.
 *
 * @throws InvalidArgumentError for a file that cannot be understood
 */
export async function hostsOf(domain: string, hostsDir = DEFAULT_HOSTS_DIR): Promise<Host[]> {
  const directory = directoryOf(domain, hostsDir);
  const file = directory === undefined ? undefined : await readHostsFile(directory);
  if (file !== undefined) {
    const own = file.server ?? { ...file.defaults, url: serverOf(domain, false) };
    return [...file.hosts, own].map((entry) => hostAt(entry.url, domain, entry));
  }
  const certificates = directory === undefined ? {} : certificatesOf(directory);
  return [hostAt(serverOf(domain, Object.keys(certificates).length > 0), domain, { certificates })];
}

function directoryOf(domain: string, root: string): string | undefined {
  // A port is told apart by underscores where a file system does not take a colon.
  const names = [domain.replace(/:(\d+)$/, '_$1_'), domain, '_default'];
  return names.map((name) => join(root, name)).find((dir) => statSync(dir, { throwIfNoEntry: false })?.isDirectory());
}

/** @param tls there are certificates for it */
function serverOf(domain: string, tls: boolean): string {
  if (domain === DEFAULT_DOMAIN) return 'https://registry-1.docker.io';
  return `${isLoopback(domain) && !tls && !domain.endsWith(':443') ? 'http' : 'https'}://${domain}`;
}

/** Whether a domain is this machine itself. */
export function isLoopback(domain: string): boolean {
  const name = domain.replace(/:\d+$/, '');
  return name === 'localhost' || /^127(\.\d+){3}$/.test(name) || name === '[::1]';
}

function hostAt(
  given: string,
  domain: string,
  { capabilities = CAPABILITIES, overridePath = false, headers = {}, certificates = {} }: Partial<HostEntry>,
): Host {
  const url = new URL(given);
  const path = url.pathname.replace(/\/+$/, '');
  const whole = overridePath || path.endsWith('/v2') ? path : `${path}/v2`;
  const itself = url.host === domain || (domain === DEFAULT_DOMAIN && url.host === 'registry-1.docker.io');
  return {
    base: `${url.origin}${whole}`,
    name: url.host,
    capabilities,
    headers,
    certificates,
    mirrorOf: itself ? undefined : domain,
  };
}
