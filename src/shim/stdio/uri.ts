/** The URIs that clients name a process's output by, read as containerd reads them (contract §6.6). */
import { invalidArgument } from '../../api/errdefs.js';

export interface OutputUri {
  /** In lower case; 'fifo' for a path of its own, which may be a FIFO or a file. */
  scheme: string;
  /** Decoded; an authority, as in `file://host/path`, is passed over. */
  path: string;
  /** In the order they are written in, decoded; a key without a value has an empty one. */
  query: readonly (readonly [key: string, value: string])[];
}

/**
 * Takes a client's text for an output apart.
 *
 * @throws InvalidArgument when an escape in its path is none
 */
export function parseOutput(text: string): OutputUri {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) return { scheme: 'fifo', path: text, query: [] };
  const [withoutFragment = ''] = rest.split('#', 1);
  const mark = withoutFragment.indexOf('?');
  const [before, query] =
    mark < 0 ? [withoutFragment, ''] : [withoutFragment.slice(0, mark), withoutFragment.slice(mark + 1)];
  return {
    scheme: scheme.toLowerCase(),
    path: decodePath(before.replace(/^\/\/[^/]*/, ''), text),
    query: parseQuery(query),
  };
}

/** The first value of a key, or undefined. */
export function valueOf(uri: OutputUri, key: string): string | undefined {
  return uri.query.find(([name]) => name === key)?.[1];
}

function decodePath(path: string, text: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw invalidArgument(`unable to parse stdout uri: parse ${JSON.stringify(text)}: invalid URL escape`, error);
  }
}

/** Of a key that comes twice the first counts, and what cannot be decoded is left out, as Go does it. */
function parseQuery(query: string): [string, string][] {
  const pairs = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '' || part.includes(';')) continue;
    const [key = '', ...value] = part.split('=').map((text) => text.replaceAll('+', ' '));
    try {
      const name = decodeURIComponent(key);
      if (!pairs.has(name)) pairs.set(name, decodeURIComponent(value.join('=')));
    } catch (error) {
      if (!(error instanceof URIError)) throw error;
    }
  }
  return [...pairs];
}
