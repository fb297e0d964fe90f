/** Docker's words that are not here: what is done instead, which is said to who types them. */

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
  port: 'there are no published ports here: `hawser run --net host` has those of the machine',
  search: 'registries are not searched here: their web pages are',
  secret: 'there is no swarm here: a file is given to a container with -v or --mount',
  service: 'there is no swarm here: `hawser run -d --restart always` keeps a container running',
  stack: 'there is no swarm here: docker-compose works with a dockerd on this daemon',
  swarm: 'there is no swarm here',
  trust: 'signatures are not looked at here: cosign and notation do that',
  network: 'networks are not made here: there are --net none, host, and the path of a network namespace',
};

const HEALTH = 'health is not looked after here: dockerd on this daemon does that, or a loop around `hawser exec`';
const THROTTLE = 'single devices are not throttled here: `update` of hawser/client sets what the kernel has (blockIO)';
const NETWORKS = 'there are no networks here but --net none, host, and the path of a network namespace';
const REALTIME = 'real-time scheduling is not given here: spec of hawser/client can say it (linux.resources.cpu)';

/** Flags of whatever command. */
export const FLAGS: Readonly<Record<string, string>> = {
  '--add-host': 'there are no networks here: mount a file over /etc/hosts with -v',
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
  '--dns': NETWORKS,
  '--dns-option': NETWORKS,
  '--dns-search': NETWORKS,
  '--domainname': 'a domain is not set here: --hostname may have dots',
  '--expose': NETWORKS,
  '--gpus':
    "GPUs are given here by their devices: --device /dev/…; what the toolkit does beyond that is nerdctl's --gpus",
  '--health-cmd': HEALTH,
  '--health-interval': HEALTH,
  '--health-retries': HEALTH,
  '--health-start-period': HEALTH,
  '--health-timeout': HEALTH,
  '--no-healthcheck': 'health is not looked after here, so there is no check to leave out',
  '--ip': NETWORKS,
  '--ip6': NETWORKS,
  '--isolation': 'it is for Windows',
  '--kernel-memory': 'the kernel has no such limit any more: --memory counts its memory, too',
  '--link': NETWORKS,
  '--link-local-ip': NETWORKS,
  '--mac-address': NETWORKS,
  '--network-alias': NETWORKS,
  '--publish': 'ports are not published here: --net host has those of the machine',
  '--publish-all': 'ports are not published here: --net host has those of the machine',
  '-p': 'ports are not published here: --net host has those of the machine',
  '-P': 'ports are not published here: --net host has those of the machine',
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
};
