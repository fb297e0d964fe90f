/** Docker's words that are not here: what is done instead, which is said to who types them. */

const CONNECT =
  'a running container gets no other networks here: make it anew with --network, once for each that it is to have';

/** Commands, by the words that name them. */
export const COMMANDS: Readonly<Record<string, string>> = {
  build: 'images are not built here: `docker build` or `nerdctl build` builds them, `hawser load` takes them in',
  builder: 'images are not built here: `docker builder` and buildkit do that',
  buildx: 'images are not built here: `docker buildx` does that, `hawser load` takes its archives in',
  compose:
    'there is no compose here: docker-compose works with a dockerd on this daemon, and `nerdctl compose` with the daemon',
  config: 'there is no swarm here: a file is given to a container with -v or --mount',
  context:
    'there are no contexts here: the daemon is chosen with --address or $CONTAINERD_ADDRESS, its namespace with -n',
  manifest:
    'lists of manifests are not made here: `docker manifest` does that; `hawser pull` and `push` take them as they are',
  node: 'there is no swarm here',
  search: 'registries are not searched here: their web pages are',
  secret: 'there is no swarm here: a file is given to a container with -v or --mount',
  service: 'there is no swarm here: `hawser run -d --restart always` keeps a container running',
  stack: 'there is no swarm here: docker-compose works with a dockerd on this daemon',
  swarm: 'there is no swarm here',
  trust: 'signatures are not looked at here: cosign and notation do that',
  'network connect': CONNECT,
  'network disconnect': CONNECT,
};

const HEALTH = 'health is not looked after here: dockerd on this daemon does that, or a loop around `hawser exec`';
const CONFIG = 'that is said by a configuration of the standard (CNI) here: put a file of your own into /etc/cni/net.d';
const SWARM = 'there is no swarm here, and a network is of this machine alone';

/** Flags of whatever command; those behind the words of a command are of that one. */
export const FLAGS: Readonly<Record<string, string>> = {
  '--disable-content-trust': 'signatures are not looked at here, so there is nothing to disable',
  '--health-cmd': HEALTH,
  '--health-interval': HEALTH,
  '--health-retries': HEALTH,
  '--health-start-period': HEALTH,
  '--health-timeout': HEALTH,
  '--no-healthcheck': 'health is not looked after here, so there is no check to leave out',
  '--isolation': 'it is for Windows',
  '--kernel-memory': 'the kernel has no such limit any more: --memory counts its memory, too',
  '--link': 'containers of one network find each other by their names: give both the same --network',
  '--link-local-ip': 'a container has one address to choose in a network: --ip',
  '--storage-opt': 'snapshotters have no options for one container: choose another with --snapshotter',
  '--volume-driver':
    'volumes have no drivers here: another file system is mounted by its type, --mount type=nfs,src=…,dst=…',
  '--details': "what a container's log has is its output alone; its labels are in `hawser inspect`",
  '--all-tags': 'one name is meant at a time: give each tag',
  '--kubeconfig': 'there is no Kubernetes in it',
  '--change': 'root file systems are not made images here: `hawser run --rootfs DIR` uses them as they are',
  '--message': 'root file systems are not made images here: `hawser run --rootfs DIR` uses them as they are',
  '--platform': 'an archive says itself what its images are for',
  '--no-prune': 'only the names that are given go, and layers with the last name that needs them',
  '--attachable': SWARM,
  '--ingress': SWARM,
  '--scope': SWARM,
  '--aux-address': 'addresses are left out by --ip-range, which says those that containers get',
  '--config-from': CONFIG,
  '--config-only': CONFIG,
  '--ipam-driver': CONFIG,
  '--ipam-opt': CONFIG,
  '--ipv4': 'a network has IPv4 unless --subnet says one of IPv6 alone',
  'network inspect --verbose': SWARM,
  'network inspect -v': SWARM,
};
