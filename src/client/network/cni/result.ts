/** What plugins say that they have done, in every version of the standard. */
import type { NetworkAttachment } from '../types.js';
import { isObject } from './config.js';

/** @param result of the last plugin */
export function attachmentOf(
  network: string,
  name: string,
  result: Readonly<Record<string, unknown>>,
): NetworkAttachment {
  const interfaces = objects(result.interfaces);
  const at = interfaces.findIndex((one) => one.name === name && typeof one.sandbox === 'string' && one.sandbox !== '');
  // Addresses of other interfaces in the container are not this one's.
  const ips = objects(result.ips).filter(({ interface: index }) => at < 0 || typeof index !== 'number' || index === at);
  // Before 0.3.0.
  const old = [result.ip4, result.ip6].filter(isObject);
  const mac = interfaces[at]?.mac;
  return {
    network,
    interface: name,
    addresses: [...texts(ips, 'address'), ...texts(old, 'ip')],
    gateways: [...texts(ips, 'gateway'), ...texts(old, 'gateway')],
    mac: typeof mac === 'string' ? mac : '',
  };
}

function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function texts(list: readonly Record<string, unknown>[], key: string): string[] {
  return list.flatMap((one) => (typeof one[key] === 'string' && one[key] !== '' ? [one[key]] : []));
}
