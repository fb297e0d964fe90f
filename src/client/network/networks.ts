/** The networks of this machine, for programs. */
import { basename } from 'node:path';
import type { Services } from '../grpc/services.js';
import type { CallOptions } from '../types/calls.js';
import { readConfigs, type NetworkConfig } from './cni/config.js';
import { precondition, textOf } from './failure.js';
import { withLock } from './lock.js';
import { DEFAULT_NETWORK } from './make-config.js';
import type { Places } from './places.js';
import { attachmentsOf, release, sweep } from './set-up.js';
import { allDirectories, directoryOf, hasEnded, readRequest, readUp, removeDirectory } from './state.js';
import { findNetwork, networkOf, removeNetwork, writeNetwork } from './store.js';
import type {
  ContainerNetwork,
  Network,
  NetworkCreateOptions,
  NetworkDetails,
  NetworkMember,
  Networks,
} from './types.js';

export class ClientNetworks implements Networks {
  constructor(
    private readonly services: Services,
    private readonly places: Places,
    private readonly scope: string,
  ) {}

  async list(options?: CallOptions): Promise<Network[]> {
    await this.tidy(options);
    return readConfigs(this.places.confDir).map(networkOf);
  }

  async inspect(name: string, options?: CallOptions): Promise<NetworkDetails> {
    await this.tidy(options);
    const config = findNetwork(this.places, name);
    return { ...networkOf(config), members: this.#members(config.name) };
  }

  create(options: NetworkCreateOptions): Promise<Network> {
    return withLock(this.places.stateDir, () => networkOf(writeNetwork(this.places, options)));
  }

  async remove(name: string, options?: CallOptions): Promise<void> {
    await this.tidy(options);
    await withLock(this.places.stateDir, async () => {
      const config = findNetwork(this.places, name);
      if (config.own === undefined)
        throw precondition(
          `network ${config.name} was not made by Hawser: remove ${config.file} yourself, or by whom it is`,
        );
      const members = this.#members(config.name);
      if (members.length > 0)
        throw precondition(
          `network ${config.name} is used by ${members.map((one) => `container ${one.name} of namespace ${one.namespace}`).join(', ')}: remove ${members.length > 1 ? 'them' : 'it'} first`,
        );
      await removeNetwork(this.places, config);
    });
  }

  async prune(options?: CallOptions): Promise<string[]> {
    await this.tidy(options);
    return withLock(this.places.stateDir, async () => {
      const removed: string[] = [];
      for (const config of readConfigs(this.places.confDir).filter((one) => this.#isUnused(one))) {
        await removeNetwork(this.places, config);
        removed.push(config.name);
      }
      return removed;
    });
  }

  of(containerId: string): ContainerNetwork {
    const dir = directoryOf(this.places, this.scope, containerId);
    const request = readRequest(dir);
    return {
      networks: request?.networks ?? [],
      ports: request?.ports ?? [],
      attachments: attachmentsOf(readUp(dir)),
    };
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

  #members(network: string): NetworkMember[] {
    return allDirectories(this.places).flatMap((dir) => {
      const request = readRequest(dir);
      if (request?.wanted.some(({ name }) => name === network) !== true) return [];
      const { id, namespace, name } = request;
      return [{ id, namespace, name, attachment: attachmentsOf(readUp(dir)).find((one) => one.network === network) }];
    });
  }

  #isUnused({ name, own }: NetworkConfig): boolean {
    return own !== undefined && name !== DEFAULT_NETWORK && this.#members(name).length === 0;
  }
}
