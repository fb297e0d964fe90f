/** Proxies, as the environment names them for Go's programs: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, in capitals or small letters. */
import { isLoopback } from './hosts.js';

/** The proxy for an address; undefined for none. This machine itself is never asked by one. */
export function proxyFor(address: string): string | undefined {
  const url = new URL(address);
  const proxy = url.protocol === 'https:' ? variable('HTTPS_PROXY') : variable('HTTP_PROXY');
  if (proxy === undefined || isLoopback(url.hostname) || isExempt(url)) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

function variable(name: string): string | undefined {
  return process.env[name] || process.env[name.toLowerCase()] || undefined;
}

/** `example.org` and `.example.org` exempt what ends so, `*` everything; a port may follow. */
function isExempt({ hostname, port, protocol }: URL): boolean {
  const own = port || (protocol === 'https:' ? '443' : '80');
  return (variable('NO_PROXY') ?? '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter(Boolean)
    .some((word) => {
      if (word === '*') return true;
      const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(word.replace(/^\*?\./, '')) ?? [];
      return (only === undefined || only === own) && (hostname === name || hostname.endsWith(`.${name}`));
    });
}
