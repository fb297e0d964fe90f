/** The flags about networks of those commands that make a container. */
import type { Command } from 'commander';
import { collect } from './define.js';

export interface NetworkFlags {
  readonly network?: string[];
  readonly publish?: string[];
  readonly publishAll?: boolean;
  readonly expose?: string[];
  readonly ip?: string;
  readonly ip6?: string;
  readonly macAddress?: string;
  readonly networkAlias?: string[];
  readonly dns?: string[];
  readonly dnsSearch?: string[];
  readonly dnsOption?: string[];
  readonly addHost?: string[];
}

export function networkFlags(command: Command): Command {
  return command
    .option(
      '--net, --network <name>',
      'a network, more than once for several; or none, host, container:ID, /run/netns/NAME ($HAWSER_NETWORK, or bridge)',
      collect,
    )
    .option('-p, --publish <[[ip:]port:]port[/proto]>', 'have a port of the host lead to one of its own', collect)
    .option('-P, --publish-all', 'have any port of the host lead to each that is exposed')
    .option('--expose <port[-port][/proto]>', 'a port that it exposes besides those of its image', collect)
    .option('--ip <address>', 'its address in the first network')
    .option('--ip6 <address>', 'the same, of IPv6')
    .option('--mac-address <address>', 'its hardware address there')
    .option('--network-alias <name>', 'a name more by which others of its networks find it', collect)
    .option('--dns <address>', "a server of names, instead of the host's", collect)
    .option('--dns-search <domain>', 'a domain in which names are looked for', collect)
    .option('--dns-option <option>', 'an option of resolv.conf(5), such as ndots:2', collect)
    .option(
      '--add-host <name:address>',
      'a line more of its /etc/hosts; the address host-gateway is the host',
      collect,
    );
}
