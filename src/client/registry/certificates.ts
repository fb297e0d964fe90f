/** Whom to trust, and as whom to come: certificates of hosts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';

/** Paths of a host's PEM files. */
export interface Certificates {
  /** Authorities that are trusted besides the system's. */
  readonly ca?: readonly string[] | undefined;
  /** As whom to come: certificate and key, which may be in one file. */
  readonly client?: readonly (readonly [certificate: string, key: string])[] | undefined;
  /** Trust anybody. */
  readonly skipVerify?: boolean | undefined;
}

/** Where the distributions keep the authorities that their programs trust, as Go looks for them. */
const SYSTEM = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** What lies in a directory as docker has it: `*.crt` are authorities, `NAME.cert` and `NAME.key` a client's. */
export function certificatesOf(directory: string): Certificates {
  const names = readdirSync(directory).sort();
  const ca = names.filter((name) => name.endsWith('.crt')).map((name) => join(directory, name));
  const client = names
    .filter((name) => name.endsWith('.cert'))
    .map((name) => [join(directory, name), join(directory, name.replace(/\.cert$/, '.key'))] as const);
  return { ...(ca.length > 0 ? { ca } : {}), ...(client.length > 0 ? { client } : {}) };
}

/** For TLS connections. */
export interface TlsOptions {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
}

/**
 * What is made for a host's connections, at the first of them: reading all authorities takes its time.
 *
 * @throws InvalidArgumentError, at once, that names a file which cannot be read
 */
export function tlsOptions({ ca = [], client = [], skipVerify = false }: Certificates): () => TlsOptions {
  const own = ca.map(read);
  const cert = client.map(([file]) => read(file));
  const key = client.map(([, file]) => read(file));
  let made: TlsOptions | undefined;
  return () =>
    (made ??= {
      secureContext: createSecureContext({ ca: [...systemAuthorities(), ...own], cert, key }),
      rejectUnauthorized: !skipVerify,
    });
}

/** Those of the system, and what Node itself would add; naming any of one's own takes the place of all. */
function systemAuthorities(): string[] {
  const file = process.env.SSL_CERT_FILE || SYSTEM.find((path) => existsSync(path));
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  return [
    ...(file !== undefined && existsSync(file) ? [readFileSync(file, 'utf8')] : rootCertificates),
    ...(extra && existsSync(extra) ? [readFileSync(extra, 'utf8')] : []),
  ];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `certificate ${file} cannot be read: ${(error as Error).message}: invalid argument`,
      { cause: error },
    );
  }
}
