/** Addresses and subnets, of both families, as numbers. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** A subnet: its first address and the length of its prefix. */
export interface Subnet {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** @returns undefined for what is no subnet; bits after the prefix are cleared */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const prefix = Number(length);
  if (isIP(address) === 0 || length === '') return undefined;
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const bits = bitsOf(family);
  if (prefix > bits) return undefined;
  const shift = BigInt(bits - prefix);
  return { address: textOf((numberOf(address) >> shift) << shift, family), prefix, family };
}

export function subnetText({ address, prefix }: Subnet): string {
  return `${address}/${prefix}`;
}

export function overlap(one: Subnet, other: Subnet): boolean {
  const [wide, narrow] = one.prefix <= other.prefix ? [one, other] : [other, one];
  return contains(wide, narrow.address);
}

export function contains({ address, prefix, family }: Subnet, other: string): boolean {
  if (isIP(other) === 0 || isIPv6(other) !== (family === 'ipv6')) return false;
  const list = new BlockList();
  list.addSubnet(address, prefix, family);
  return list.check(other, family);
}

/** The nth address of a subnet, counted from its beginning, or from its end when negative. */
export function nth({ address, prefix, family }: Subnet, n: number): string {
  const size = 1n << BigInt(bitsOf(family) - prefix);
  return textOf(numberOf(address) + (n < 0 ? size + BigInt(n) : BigInt(n)), family);
}

function bitsOf(family: Subnet['family']): number {
  return family === 'ipv6' ? 128 : 32;
}

function numberOf(address: string): bigint {
  if (!isIPv6(address)) return address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
  // The URL parser writes an address with four bytes at its end in its usual form.
  const plain = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const groups = (text: string): string[] => text.split(':').filter(Boolean);
  const [first, last] = [groups(head), tail === undefined ? [] : groups(tail)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return all.reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
}

function textOf(value: bigint, family: Subnet['family']): string {
  if (family === 'ipv4') return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
