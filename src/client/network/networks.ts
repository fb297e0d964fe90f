/** The networks of this machine, for programs. */
import { basename } from 'node:path';
import type { Services } from '../grpc/services.js';
import type { CallOptions } from '../types/calls.js';
import { NAME, NETWORKS } from '../nerdctl.js';
import { readConfigs, type NetworkConfig } from './cni/config.js';
import { precondition, textOf } from './failure.js';
import { foreignNetwork } from './foreign.js';
import { withLock } from './lock.js';
import { DEFAULT_NETWORK } from './make-config.js';
import type { Places } from './places.js';
import { attachmentsOf, release, sweep } from './set-up.js';
import { recordOf } from '../record.js';
import { allDirectories, directoryOf, hasEnded, readRequest, readUp, removeDirectory } from './state.js';
import { findNetwork, networkOf, removeNetwork, writeNetwork } from './store.js';
import type {
  ContainerNetwork,
  Network,
  NetworkCreateOptions,
  NetworkDetails,
  NetworkMember,
  Networks,
  PruneNetworksOptions,
} from './types.js';

/** A container by its labels. */
type Labelled = Omit<NetworkMember, 'attachment'> & Pick<ContainerNetwork, 'networks' | 'attachments'>;

export class ClientNetworks implements Networks {
  constructor(
    private readonly services: Services,
    private readonly places: Places,
    private readonly scope: string,
  ) {}

  async list(options?: CallOptions): Promise<Network[]> {
    await this.tidy(options);
    return readConfigs(this.places).map(networkOf);
  }

  async inspect(name: string, options?: CallOptions): Promise<NetworkDetails> {
    await this.tidy(options);
    const config = findNetwork(this.places, name);
    return { ...networkOf(config), members: this.#members(config.name, await this.#others(options)) };
  }

  create(options: NetworkCreateOptions): Promise<Network> {
    return withLock(this.places.stateDir, () => networkOf(writeNetwork(this.places, options)));
  }

  async remove(name: string, options?: CallOptions): Promise<void> {
    await this.tidy(options);
    const others = await this.#others(options);
    await withLock(this.places.stateDir, async () => {
      const config = findNetwork(this.places, name);
      if (config.own === undefined)
        throw precondition(
          `network ${config.name} was not made by Hawser: remove ${config.file} yourself, or by whom it is`,
        );
      const members = this.#members(config.name, others);
      if (members.length > 0)
        throw precondition(
          `network ${config.name} is used by ${members.map((one) => `container ${one.name} of namespace ${one.namespace}`).join(', ')}: remove ${members.length > 1 ? 'them' : 'it'} first`,
        );
      await removeNetwork(this.places, config);
    });
  }

  async prune({ filter = () => true, ...options }: PruneNetworksOptions = {}): Promise<string[]> {
    await this.tidy(options);
    const others = await this.#others(options);
    return withLock(this.places.stateDir, async () => {
      const removed: string[] = [];
      for (const config of readConfigs(this.places).filter((one) => this.#isUnused(one, others))) {
        if (!filter(networkOf(config))) continue;
        await removeNetwork(this.places, config);
        removed.push(config.name);
      }
      return removed;
    });
  }

  of(containerId: string, labels: Readonly<Record<string, string>> = {}): ContainerNetwork {
    const dir = directoryOf(this.places, this.scope, containerId);
    const request = readRequest(dir);
    if (request === undefined) return foreignNetwork(containerId, labels);
    return { networks: request.networks, ports: request.ports, attachments: attachmentsOf(readUp(dir)) };
  }

  async tidy(options: CallOptions = {}): Promise<string[]> {
    const own = allDirectories(this.places, this.scope);
    if (allDirectories(this.places).length === 0) return [];
    // Who makes a container writes its directory after its record, and removes it after that: what has no record is left over.
    const { containers } = await this.services.containers.List({}, options);
    const known = new Set(containers.map(({ id }) => id));
    return withLock(this.places.stateDir, async () => {
      const failures = await sweep(this.places);
      for (const dir of own.filter((one) => !known.has(basename(one)))) {
        try {
          const up = readUp(dir);
          // Its record was removed while it runs.
          if (up !== undefined && !hasEnded(up)) continue;
          await release(dir);
          removeDirectory(dir);
        } catch (error) {
          failures.push(`container ${basename(dir)}: ${textOf(error)}`);
        }
      }
      return failures;
    });
  }

  /** Containers of all namespaces of the daemon by what nerdctl, and we, have written down with it. */
  async #others(options: CallOptions = {}): Promise<Labelled[]> {
    const { namespaces } = await this.services.namespaces.List({}, options);
    const lists = namespaces.map(async ({ name }) => {
      const namespace = name ?? '';
      const filters = [`labels.${JSON.stringify(NETWORKS)}`];
      const { containers } = await this.services.containers.List({ filters }, { ...options, namespace });
      return containers.map(recordOf).map(({ id, labels }) => {
        const { networks, attachments } = foreignNetwork(id, labels);
        return { id, namespace, name: labels[NAME] ?? id, networks, attachments };
      });
    });
    return (await Promise.all(lists)).flat();
  }

  #members(network: string, others: readonly Labelled[]): NetworkMember[] {
    const own = allDirectories(this.places).flatMap((dir) => {
      const request = readRequest(dir);
      if (request?.wanted.some(({ name }) => name === network) !== true) return [];
      const { id, namespace, name } = request;
      return [{ id, namespace, name, attachment: attachmentsOf(readUp(dir)).find((one) => one.network === network) }];
    });
    const isOwn = (id: string, namespace: string): boolean =>
      own.some((one) => one.id === id && one.namespace === namespace);
    return [
      ...own,
      ...others
        .filter(({ id, namespace, networks }) => networks.includes(network) && !isOwn(id, namespace))
        .map(({ id, namespace, name, attachments }) => ({
          id,
          namespace,
          name,
          attachment: attachments.find((one) => one.network === network),
        })),
    ];
  }

  #isUnused({ name, own }: NetworkConfig, others: readonly Labelled[]): boolean {
    return own !== undefined && name !== DEFAULT_NETWORK && this.#members(name, others).length === 0;
  }
}
