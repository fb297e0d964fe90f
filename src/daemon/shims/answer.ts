/** What a shim prints when it has been started: where it listens, and what it speaks (contract §1.6). */
import { notImplemented, unknown } from '../../api/errdefs.js';
import { containerd } from '../../api/full.js';

/** Where a shim listens; kept as `bootstrap.json`, whose fields these are. */
export interface Bootstrap {
  /** Of the Task API: 2 or 3. */
  readonly version: number;
  /** `unix:///path`, or the name of an abstract socket. */
  readonly address: string;
  readonly protocol: string;
}

const MAX_VERSION = 3;
/** sockaddr_un.sun_path, with the scheme before it. */
const MAX_ADDRESS = 107 + 'unix://'.length;

/**
 * Reads the answer in all its forms: a plain address, JSON, or a BootstrapResult message.
 *
 * @throws Unknown for anything else, with the beginning of it; NotImplemented for a version or protocol that came later
 */
export function parseAnswer(output: Uint8Array): Bootstrap {
  const text = Buffer.from(output).toString().trim();
  if (text === '') throw unknown('the shim printed nothing: it must print the address that it listens on');
  if (text.startsWith('{')) return checked(fromJson(text));
  if (!text.startsWith('unix://')) {
    const message = fromMessage(output);
    if (message !== undefined) return checked(message);
  }
  return checked({ version: 2, address: text, protocol: 'ttrpc' });
}

/** Reads the `bootstrap.json` of a bundle; throws as {@link parseAnswer} does. */
export function parseBootstrap(text: string): Bootstrap {
  return checked(fromJson(text));
}

function fromJson(text: string): Bootstrap {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unknown(`${quoted(text)} is neither an address nor JSON: ${(error as Error).message}`, error);
  }
  const { version, address, protocol } = value as Record<string, unknown>;
  if (typeof address !== 'string') throw unknown(`${quoted(text)} holds no address`);
  return {
    version: typeof version === 'number' ? version : 2,
    address,
    protocol: typeof protocol === 'string' ? protocol : 'ttrpc',
  };
}

function fromMessage(output: Uint8Array): Bootstrap | undefined {
  try {
    const { version, address, protocol } = containerd.runtime.bootstrap.v1.BootstrapResult.decode(output);
    return address && protocol ? { version, address, protocol } : undefined;
  } catch {
    // Most texts are no message.
    return undefined;
  }
}

function checked({ version, address, protocol }: Bootstrap): Bootstrap {
  if (version > MAX_VERSION || version < 1)
    throw notImplemented(`unsupported shim version (${version}): at most ${MAX_VERSION} is spoken here`);
  if (protocol.toLowerCase() !== 'ttrpc')
    throw notImplemented(`unsupported shim protocol ${JSON.stringify(protocol)}: only ttrpc is spoken here`);
  // An address is one line of printable text.
  if (
    address === '' ||
    address.length > MAX_ADDRESS ||
    /[\s\x00-\x1f\x7f\ufffd]/.test(address) ||
    /^(?!unix:)\w+:\/\//.test(address)
  ) {
    throw unknown(`the shim printed ${quoted(address)}, which is no address of a unix socket`);
  }
  return { version: Math.max(version, 2), address, protocol: 'ttrpc' };
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
