/** The flags of those commands that make a container: run, create and trace. */
import type { Command } from 'commander';
import type { DiskFlags } from '../options/disks.js';
import type { LimitFlags } from '../options/limits.js';
import { collect, integer, positive } from './define.js';
import { networkFlags, type NetworkFlags } from './network-flags.js';

export interface RunFlags extends LimitFlags, DiskFlags, NetworkFlags {
  readonly attach?: string[];
  readonly detach?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly name?: string;
  readonly rootfs?: string;
  readonly runtime?: string;
  readonly snapshotter?: string;
  readonly pull?: string;
  readonly quiet?: boolean;
  readonly hostsDir?: string;
  readonly env?: string[];
  readonly envFile?: string[];
  readonly volume?: string[];
  readonly mount?: string[];
  readonly tmpfs?: string[];
  readonly volumesFrom?: string[];
  readonly device?: string[];
  readonly cdiSpecDir?: string[];
  readonly gpus?: string;
  readonly deviceCgroupRule?: string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly readOnly?: boolean;
  readonly capAdd?: string[];
  readonly capDrop?: string[];
  readonly privileged?: boolean;
  readonly securityOpt?: string[];
  readonly sysctl?: string[];
  readonly ulimit?: string[];
  readonly hostname?: string;
  readonly domainname?: string;
  readonly userns?: string;
  readonly label?: string[];
  readonly labelFile?: string[];
  readonly restart?: string;
  readonly stopTimeout?: number;
  readonly platform?: string;
  readonly annotation?: string[];
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly cgroupns?: string;
  readonly cgroupParent?: string;
  readonly cgroupManager?: string;
  readonly shmSize?: string;
  readonly groupAdd?: string[];
  readonly oomScoreAdj?: number;
  readonly init?: boolean;
  readonly entrypoint?: string;
  readonly detachKeys?: string;
  readonly logDriver?: string;
  readonly logOpt?: string[];
  readonly stopSignal?: string;
  readonly sigProxy?: boolean;
  readonly cidfile?: string;
  readonly pidfile?: string;
}

/** What run, create and trace have in common. */
export function containerFlags(command: Command): Command {
  return networkFlags(command)
    .option('-i, --interactive', 'keep standard input open')
    .option('-t, --tty', 'give it a terminal')
    .option('--rm', 'remove the container when it ends, with its anonymous volumes')
    .option('--restart <policy>', 'start it again when it ends: no, always, unless-stopped, on-failure[:times]')
    .option('--name <id>', 'its id (made up unless given)')
    .option('--rootfs <dir>', 'a directory as its root file system, instead of an image')
    .option('--runtime <name>', "runtime, or path of a shim (the daemon's default: io.containerd.runc.v2)")
    .option('--snapshotter <name>', "where an image's file systems are (overlayfs)")
    .option('--pull <when>', 'fetch the image: always, missing, never', 'missing')
    .option('--platform <platform>', "of an image for several, which (this machine's)")
    .option('-q, --quiet', 'no progress of that')
    .option('--hosts-dir <dir>', "a directory as containerd's certs.d, for that")
    .option('--entrypoint <program>', "run this instead of the image's entry point")
    .option('-e, --env <name=value>', "environment; a name alone takes this shell's value", collect)
    .option('--env-file <file>', 'environment from a file of NAME=VALUE lines', collect)
    .option('-v, --volume <[src:]dst[:options]>', 'a volume by its name, or a directory or file of the host', collect)
    .option('--mount <type=…,src=…,dst=…>', 'a mount: type volume, bind, tmpfs or any that the kernel has', collect)
    .option('--volumes-from <container[:ro]>', 'volumes and binds of another container', collect)
    .option('--tmpfs <dst[:options]>', 'a directory in memory', collect)
    .option('--device <path>', 'a device of the host; vendor.com/class=name: one of CDI, with what it needs', collect)
    .option('--cdi-spec-dir <dir>', 'where CDI describes those (/etc/cdi, then /var/run/cdi)', collect)
    .option('--gpus <count>', 'all, a number, or "device=0,1": those of NVIDIA, as CDI describes them')
    .option('--device-cgroup-rule <rule>', "devices that it may use if it has them: 'c 10:* rwm'", collect)
    .option('-w, --workdir <dir>', 'working directory')
    .option('-u, --user <user[:group]>', 'who it runs as, by name or number')
    .option('--group-add <group>', 'a group more, by name or number', collect)
    .option('-m, --memory <size>', 'memory that it may use, such as 512m')
    .option('--memory-swap <size>', 'memory and swap together; -1 for no limit of swap')
    .option('--memory-reservation <size>', 'memory that it is left with when there is little')
    .option('--cpus <number>', 'how many processors it may use, such as 1.5', positive('--cpus'))
    .option('-c, --cpu-shares <number>', 'its share of busy processors (1024 is usual)', integer('--cpu-shares', 2))
    .option('--cpuset-cpus <list>', 'which processors: 0-1,3')
    .option('--cpuset-mems <list>', 'which nodes of memory: 0-1')
    .option('--cpu-quota <microseconds>', 'processor time in each period; -1 for no limit', integer('--cpu-quota', -1))
    .option('--cpu-period <microseconds>', 'how long such a period is (100000)', integer('--cpu-period', 1000))
    .option(
      '--cpu-rt-runtime <microseconds>',
      'real-time scheduling in each period, where the kernel has it (cgroup v1)',
      integer('--cpu-rt-runtime'),
    )
    .option('--cpu-rt-period <microseconds>', 'how long such a period is', integer('--cpu-rt-period'))
    .option('--blkio-weight <number>', 'its share of busy disks, from 10 to 1000', integer('--blkio-weight', 0))
    .option('--blkio-weight-device <disk:weight>', 'the same of one disk, such as /dev/sda:200', collect)
    .option('--device-read-bps <disk:rate>', 'bytes that it may read each second, such as /dev/sda:1mb', collect)
    .option('--device-write-bps <disk:rate>', 'bytes that it may write', collect)
    .option('--device-read-iops <disk:rate>', 'how often it may read each second', collect)
    .option('--device-write-iops <disk:rate>', 'how often it may write', collect)
    .option(
      '--memory-swappiness <number>',
      'how readily its memory is swapped out, from 0 to 100 (cgroup v1)',
      integer('--memory-swappiness', -1),
    )
    .option('--oom-kill-disable', 'let it wait for memory instead of killing it (cgroup v1)')
    .option('--pids-limit <number>', 'how many processes; -1 for no limit', integer('--pids-limit', -1))
    .option(
      '--oom-score-adj <number>',
      'whom the kernel kills first, from -1000 to 1000',
      integer('--oom-score-adj', -1000),
    )
    .option('--ulimit <name=soft[:hard]>', 'a limit of each process, such as nofile=1024:4096; -1 for none', collect)
    .option('--read-only', 'let it not write to its root file system')
    .option('--cap-add <name>', 'a capability more, or ALL', collect)
    .option('--cap-drop <name>', 'a capability less, or ALL', collect)
    .option('--privileged', 'all capabilities, devices and system calls, nothing of /proc and /sys hidden')
    .option(
      '--security-opt <option>',
      'seccomp=unconfined|FILE, apparmor=PROFILE, no-new-privileges, systempaths=unconfined',
      collect,
    )
    .option('--sysctl <name=value>', "a parameter of the kernel's, in its namespaces", collect)
    .option('-h, --hostname <name>', 'its host name')
    .option('--domainname <name>', 'its domain, of NIS and in /etc/hosts')
    .option('--userns <kind>', "host: users are the host's, which they are anyway")
    .option('--pid <kind>', "host: the host's processes; container:NAME: those of another container")
    .option(
      '--ipc <kind>',
      "private, none (no /dev/shm), host: the host's shared memory, container:NAME: another one's",
    )
    .option('--shm-size <size>', 'room of /dev/shm (64m)')
    .option('--uts <kind>', "host: the host's name")
    .option('--cgroupns <kind>', 'private or host: whether its own cgroup is the topmost that it sees')
    .option('--cgroup-parent <path>', 'what its own cgroup is made in: a path, or a slice of systemd (hawser.slice)')
    .option(
      '--cgroup-manager <kind>',
      "who makes its cgroup: systemd, or cgroupfs, the runtime itself (the daemon's default)",
    )
    .option('--init', 'run an init program first, which passes signals on and reaps processes')
    .option('-l, --label <name=value>', 'a label', collect)
    .option('--label-file <file>', 'labels from a file of NAME=VALUE lines', collect)
    .option('--annotation <name=value>', 'an annotation of its OCI spec', collect)
    .option('--log-driver <driver>', 'file: keep its output for `hawser logs` (see --log-opt); none')
    .option('--log-opt <name=value>', 'path=FILE, format=cri or raw, max-size=10m, max-file=3', collect)
    .option('--stop-signal <signal>', "what `hawser stop` sends first (the image's, or SIGTERM)")
    .option(
      '--stop-timeout <seconds>',
      'how long `hawser stop` waits before it ends it by force (10)',
      integer('--stop-timeout', -1),
    )
    .option('--cidfile <file>', 'write its id to a file that is not there yet')
    .option('--pidfile <file>', 'write its process id to a file');
}
