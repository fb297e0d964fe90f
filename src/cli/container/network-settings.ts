/** A container's network in docker's form, for inspect. */
import type { ContainerNetwork, NetworkAttachment, PortMapping } from '../../client/index.js';
import { networkId } from '../../client/network/make-config.js';

type Bindings = Record<string, { HostIp: string; HostPort: string }[]>;

/** By the container's port, such as 80/tcp. */
export function portBindings(ports: readonly PortMapping[]): Bindings {
  const found: Bindings = {};
  for (const { hostIp, hostPort, containerPort, protocol } of ports)
    (found[`${containerPort}/${protocol}`] ??= []).push({ HostIp: hostIp || '0.0.0.0', HostPort: String(hostPort) });
  return found;
}

/** Addresses are there while it runs. */
export function networkSettings({ networks, ports, attachments }: ContainerNetwork): Record<string, unknown> {
  const first = attachments[0];
  return {
    ...(first === undefined ? settingsOf() : settingsOf(first)),
    Ports: attachments.length > 0 ? portBindings(ports) : {},
    Networks: Object.fromEntries(
      networks.map((name) => [
        name,
        { ...settingsOf(attachments.find(({ network }) => network === name)), NetworkID: networkId(name) },
      ]),
    ),
  };
}

function settingsOf(attachment?: NetworkAttachment): Record<string, unknown> {
  const { addresses = [], gateways = [], mac = '' } = attachment ?? {};
  const [ip4, ip6] = [addresses.find((one) => !one.includes(':')), addresses.find((one) => one.includes(':'))];
  return {
    IPAddress: ip4?.split('/')[0] ?? '',
    IPPrefixLen: Number(ip4?.split('/')[1] ?? 0),
    Gateway: gateways.find((one) => !one.includes(':')) ?? '',
    GlobalIPv6Address: ip6?.split('/')[0] ?? '',
    GlobalIPv6PrefixLen: Number(ip6?.split('/')[1] ?? 0),
    IPv6Gateway: gateways.find((one) => one.includes(':')) ?? '',
    MacAddress: mac,
  };
}
