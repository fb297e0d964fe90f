/** A container's network, as docker's and nerdctl's flags say it. */
import type { NetworkOptions } from '../../client/index.js';
import { UsageError } from '../errors.js';
import type { RunFlags } from '../program/run-flags.js';

/** Networks are named by --network, by $HAWSER_NETWORK, or it is docker's default. */
export function networksOf({ network }: Pick<RunFlags, 'network'>): readonly string[] {
  const given = (network ?? []).flatMap((text) => named(text));
  if (given.length > 0) return given;
  return [process.env.HAWSER_NETWORK || 'bridge'];
}

export function networkOptions(flags: RunFlags): NetworkOptions {
  if (flags.ip !== undefined && flags.ip6 !== undefined)
    throw new UsageError('--ip and --ip6: one of the two can be chosen, and the plugins choose the other');
  return {
    network: networksOf(flags),
    ports: flags.publish,
    publishAll: flags.publishAll,
    expose: flags.expose,
    ip: flags.ip ?? flags.ip6,
    macAddress: flags.macAddress,
    networkAliases: flags.networkAlias,
    dns: flags.dns,
    dnsSearch: flags.dnsSearch,
    dnsOptions: flags.dnsOption,
    extraHosts: flags.addHost,
  };
}

/** docker's long form, `name=web,alias=db`, has its own options; only the name can stand there. */
function named(text: string): string[] {
  if (!text.includes('=')) return [text];
  const [, name] = /^name=([^,=]+)$/.exec(text) ?? [];
  if (name === undefined)
    throw new UsageError(
      `--network ${JSON.stringify(text)}: give the name alone, and the rest by --ip, --mac-address and --network-alias`,
    );
  return [name];
}
