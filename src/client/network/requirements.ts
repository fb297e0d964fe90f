/** What a network needs of the machine, before a container is made that would not start. */
import { delimiter } from 'node:path';
import { pluginTypes, type NetworkConfig } from './cni/config.js';
import { missingPlugins } from './cni/plugin.js';
import { precondition } from './failure.js';
import { findIn, programPath, type Places } from './places.js';

/** @param path where programs are. @throws FailedPreconditionError that says which package to install */
export function checkRequirements(
  config: Pick<NetworkConfig, 'name' | 'plugins'>,
  places: Places,
  path = programPath(),
): void {
  const missing = pluginTypes(config).filter((type) => findIn(places.pluginDirs, type) === undefined);
  if (missing.length > 0) throw precondition(missingPlugins(missing, places.pluginDirs, config.name));
  if (needsIptables(config) && findIn(path.split(delimiter), 'iptables') === undefined)
    throw precondition(
      `network ${config.name} needs the program iptables, which is not there: install the package iptables; --network none and host need none`,
    );
}

function needsIptables({ plugins }: Pick<NetworkConfig, 'plugins'>): boolean {
  return plugins.some(
    ({ type, ipMasq, backend }) =>
      ipMasq === true || type === 'portmap' || (type === 'firewall' && backend !== 'firewalld'),
  );
}
