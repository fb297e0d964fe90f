/** Logging in: whether a registry takes credentials, and keeping them for docker and for us. */
import { DEFAULT_DOMAIN } from '../../oci/image-name.js';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { eraseCredentials, storeCredentials, type Stored } from './docker-config.js';
import { HostClient } from './host-client.js';
import { hostsOf } from './hosts.js';
import { PATIENCE, retrying } from './retry.js';
import type { Credentials } from './types.js';

/** A registry as users write it: docker.io unless given, without scheme and path. @throws InvalidArgumentError */
export function registryDomain(server: string | undefined): string {
  const domain = (server ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (server !== undefined && !/^[\w.[\]:-]+$/.test(domain))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `${JSON.stringify(server)} is no registry: give a host name, with a port if need be: invalid argument`,
    );
  return domain === '' || domain === 'index.docker.io' ? DEFAULT_DOMAIN : domain;
}

/** Asks the registry whether it takes them, and keeps them then. @throws UnauthenticatedError when it does not */
export async function login(
  domain: string,
  credentials: Credentials,
  { hostsDir, signal }: { readonly hostsDir?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Stored> {
  const host = (await hostsOf(domain, hostsDir)).at(-1)!;
  const client = new HostClient(host, () => Promise.resolve(credentials));
  try {
    const response = await retrying(
      () => client.send({ method: 'GET', path: '/', scope: '', accept: [200], signal, what: `login to ${domain}` }),
      PATIENCE,
      signal,
    );
    response.discard();
  } finally {
    await client.close();
  }
  return storeCredentials(domain, credentials);
}

/** Forgets what is kept for a registry. @returns whether there was anything */
export function logout(domain: string): Promise<boolean> {
  return eraseCredentials(domain);
}
