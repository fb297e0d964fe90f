/** Docker's words that are not here: what is done instead, which is said to who types them. */

const CONNECT =
  'a running container gets no other networks here: make it anew with --network, once for each that it is to have';

/** Commands, by the words that name them. */
export const COMMANDS: Readonly<Record<string, string>> = {
  build: 'images are not built here: `docker build` or `nerdctl build` builds them, `hawser load` takes them in',
  builder: 'images are not built here: `docker builder` and buildkit do that',
  buildx: 'images are not built here: `docker buildx` does that, `hawser load` takes its archives in',
  commit: 'images are not made of containers here: `nerdctl commit` on the same daemon does that',
  compose:
    'there is no compose here: docker-compose works with a dockerd on this daemon, and `nerdctl compose` with the daemon',
  config: 'there is no swarm here: a file is given to a container with -v or --mount',
  context:
    'there are no contexts here: the daemon is chosen with --address or $CONTAINERD_ADDRESS, its namespace with -n',
  cp: 'files are not copied here: `nerdctl cp` on the same daemon does that, or tar through `hawser exec -i`',
  diff: 'what a container has changed is not shown here: `nerdctl diff` on the same daemon does that',
  export:
    'files of containers are not exported here: `nerdctl export` on the same daemon does that, or tar through `hawser exec`',
  import:
    'a root file system is used as it is, with `hawser run --rootfs DIR`; `hawser load` and `hawser images import` take images in',
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
const THROTTLE = 'single devices are not throttled here: `update` of hawser/client sets what the kernel has (blockIO)';
const CONFIG = 'that is said by a configuration of the standard (CNI) here: put a file of your own into /etc/cni/net.d';
const SWARM = 'there is no swarm here, and a network is of this machine alone';
const REALTIME = 'real-time scheduling is not given here: spec of hawser/client can say it (linux.resources.cpu)';

/** Flags of whatever command; those behind the words of a command are of that one. */
export const FLAGS: Readonly<Record<string, string>> = {
  '--attach': 'what is not detached with -d is attached to as a whole: send one of the streams to /dev/null',
  '--blkio-weight-device': THROTTLE,
  '--cpu-rt-period': REALTIME,
  '--cpu-rt-runtime': REALTIME,
  '--device-cgroup-rule':
    'rules for devices are not given here: spec of hawser/client can say them (linux.resources.devices)',
  '--device-read-bps': THROTTLE,
  '--device-read-iops': THROTTLE,
  '--device-write-bps': THROTTLE,
  '--device-write-iops': THROTTLE,
  '--disable-content-trust': 'signatures are not looked at here, so there is nothing to disable',
  '--domainname': 'a domain is not set here: --hostname may have dots',
  '--expose': 'a port is said with --publish here; --publish-all takes those that the image exposes',
  '--gpus':
    "GPUs are given here by their devices: --device /dev/…; what the toolkit does beyond that is nerdctl's --gpus",
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
  '-a': 'what is not detached with -d is attached to as a whole: send one of the streams to /dev/null',
  '--storage-opt': 'snapshotters have no options for one container: choose another with --snapshotter',
  '--userns': 'users are not mapped here: spec of hawser/client can say it (linux.uidMappings)',
  '--volume-driver':
    'volumes have no drivers here: another file system is mounted by its type, --mount type=nfs,src=…,dst=…',
  '--since': 'the daemon keeps no events: those are shown that come from now on',
  '--until':
    'neither logs here nor the events of the daemon have an end to choose: `timeout 10 hawser …` ends the showing',
  '--details': "what a container's log has is its output alone; its labels are in `hawser inspect`",
  '--size': 'sizes of containers are not shown here: `hawser system df` has the sum',
  '-s': 'sizes of containers are not shown here: `hawser system df` has the sum',
  '--all-tags': 'one name is meant at a time: give each tag',
  '--filter': 'nothing is chosen by a filter here: what is meant is named',
  '--verbose': 'what each one takes is shown by `hawser images` and `hawser volume ls -s`',
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
  'network rm --force': 'a network that is not there is an error, and the others are removed all the same',
  'network rm -f': 'a network that is not there is an error, and the others are removed all the same',
  'network prune --filter':
    'what is pruned is not chosen here: `hawser network ls -q -f` lists, `hawser network rm` removes',
};
