/** Networks, and what of them a container has. */
import type { CallOptions } from '../types/calls.js';

/** Where networks are kept. Each default is that of the standard's other users, so that their networks are found. */
export interface NetworkPlaces {
  /** Configurations of networks (CNI). Default: $NETCONFPATH, or /etc/cni/net.d. */
  readonly confDir?: string | undefined;
  /** Where plugins are looked for, in this order. Default: $CNI_PATH, or /opt/cni/bin, /usr/lib/cni, /usr/libexec/cni. */
  readonly pluginDirs?: readonly string[] | undefined;
  /** What is known of containers and their networks: survives a restart of the machine. Default: /var/lib/hawser/network. */
  readonly stateDir?: string | undefined;
  /** Where network namespaces are held while their containers run: goes with a restart. Default: /run/hawser/netns. */
  readonly pinDir?: string | undefined;
}

/** A port of the host's that leads to one of a container's. */
export interface PortMapping {
  /** Address of the host's; empty for all. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

/** What a container wants of its network. */
export interface NetworkOptions {
  /**
   * `none`: a network of its own with nothing in it (the default); `host`: the host's; `container:ID`: that of another container; the path of
   * a namespace; or names of networks, the first of which is `eth0`. `bridge` is made when it is not there.
   */
  readonly network?: 'none' | 'host' | 'bridge' | (string & {}) | readonly string[] | undefined;
  /**
   * Ports to publish, as docker writes them: `8080:80`, `127.0.0.1:8080:80/udp`, `8000-8005:80-85`, `80` for any port of the host's. Or as
   * objects; a `hostPort` of 0 is any.
   */
  readonly ports?: readonly (string | (Partial<PortMapping> & Pick<PortMapping, 'containerPort'>))[] | undefined;
  /** Publish each port that is exposed, too, at any port of the host's. */
  readonly publishAll?: boolean | undefined;
  /** Ports that it exposes besides those of its image: `80`, `53/udp`, `8000-8005`. They count with `publishAll` alone. */
  readonly expose?: readonly string[] | undefined;
  /** Its address in the first network. */
  readonly ip?: string | undefined;
  /** Its hardware address in the first network. */
  readonly macAddress?: string | undefined;
  /** Names by which other containers of its networks find it, besides its id, its name and its host name. */
  readonly networkAliases?: readonly string[] | undefined;
  /** Servers of names, instead of the host's. */
  readonly dns?: readonly string[] | undefined;
  readonly dnsSearch?: readonly string[] | undefined;
  /** As resolv.conf(5) has them: `ndots:2`. */
  readonly dnsOptions?: readonly string[] | undefined;
  /** Lines more of /etc/hosts: `NAME:ADDRESS`; the address `host-gateway` is the host's in the first network. */
  readonly extraHosts?: readonly string[] | undefined;
}

/** A network: a configuration of the standard (CNI), whoever has written it. */
export interface Network {
  readonly name: string;
  /** Made of the name, as the standard has none: 64 hexadecimal digits. */
  readonly id: string;
  /** Type of its first plugin: `bridge`, `macvlan`, … */
  readonly driver: string;
  /** Path of its configuration. */
  readonly file: string;
  /** Whether Hawser has made it: only such ones are removed. */
  readonly own: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly subnets: readonly { readonly subnet: string; readonly gateway?: string | undefined }[];
  /** Nothing leads out of it. */
  readonly internal: boolean;
  readonly createdAt: Date | undefined;
  /** The configuration as it is written. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Which networks are removed of those that Hawser has made and no container uses. */
export interface PruneNetworksOptions extends CallOptions {
  /** Of these, which. */
  readonly filter?: ((network: Network) => boolean) | undefined;
}

/** A container in a network. */
export interface NetworkMember {
  /** The container's id. */
  readonly id: string;
  /** The daemon's namespace that the container is in. */
  readonly namespace: string;
  readonly name: string;
  /** Its interface and addresses while it runs. */
  readonly attachment: NetworkAttachment | undefined;
}

/** A network with the containers that use it, running or not, of every daemon and namespace. */
export interface NetworkDetails extends Network {
  readonly members: readonly NetworkMember[];
}

/** A container's interface in a network. */
export interface NetworkAttachment {
  readonly network: string;
  /** `eth0`, … */
  readonly interface: string;
  /** With the lengths of their prefixes: `10.67.0.2/24`. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** Empty when the plugin does not tell. */
  readonly mac: string;
}

/** What a container has of networks. */
export interface ContainerNetwork {
  /** Names of networks, or one of `none`, `host`, `container:ID` and a path. */
  readonly networks: readonly string[];
  readonly ports: readonly PortMapping[];
  /** Empty while it does not run. */
  readonly attachments: readonly NetworkAttachment[];
}

/** A network that is to be made. */
export interface NetworkCreateOptions {
  readonly name: string;
  /** Default: bridge. */
  readonly driver?: 'bridge' | 'macvlan' | 'ipvlan' | undefined;
  /** `10.1.0.0/24`, `fd00:1::/64`. Default: one of IPv4 that nobody uses; with `ipv6`, one of IPv6 as well. */
  readonly subnets?: readonly string[] | undefined;
  /** Of the first subnet of each family. Default: its first address. */
  readonly gateways?: readonly string[] | undefined;
  /** A part of the first subnet, from which addresses are given: `10.1.0.128/25`. */
  readonly ipRange?: string | undefined;
  readonly ipv6?: boolean | undefined;
  /** Nothing leads out of it. */
  readonly internal?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `mtu`, `bridge` (the interface's name); `parent` and `mode` of macvlan and ipvlan; or docker's names for these. */
  readonly options?: Readonly<Record<string, string>> | undefined;
}

/** The networks of this machine: all configurations of {@link NetworkPlaces.confDir}. */
export interface Networks {
  /** All of them, by name. */
  list(options?: CallOptions): Promise<Network[]>;
  /** By name, or by the id's beginning when only one has it. @throws NotFoundError */
  inspect(name: string, options?: CallOptions): Promise<NetworkDetails>;
  /** @throws AlreadyExistsError, InvalidArgumentError, FailedPreconditionError without the plugins that it needs */
  create(options: NetworkCreateOptions): Promise<Network>;
  /** With its interface. @throws NotFoundError, FailedPreconditionError when a container uses it, or it is not Hawser's */
  remove(name: string, options?: CallOptions): Promise<void>;
  /** Removes the networks that Hawser has made and no container uses, but `bridge`. @returns their names */
  prune(options?: PruneNetworksOptions): Promise<string[]>;
  /**
   * What a container has of networks. Of one that nerdctl has made, what its labels say, and while it runs its ports and addresses; of one that another
   * program has made, nothing.
   *
   * @param labels those of its record, by which nerdctl's is known
   */
  of(containerId: string, labels?: Readonly<Record<string, string>>): ContainerNetwork;
  /**
   * Gives back what ended containers still hold, such as addresses after a restart of the machine, and removes the files of those that are no
   * more. The other calls do so, too, and so does the start of any container in a network.
   *
   * @returns what could not be given back, a text for each
   */
  tidy(options?: CallOptions): Promise<string[]>;
}
