/** From the flags of run and create to what the client library makes a container of. */
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { CgroupDriver, CreateOptions } from '../../client/index.js';
import { CliError, FAILED, UsageError } from '../errors.js';
import type { RunFlags } from '../program/run-flags.js';
import { withinBounds } from './capabilities.js';
import { deviceOptions } from './devices.js';
import { disksOf } from './disks.js';
import { environment, pairs } from './environment.js';
import { limitsOf } from './limits.js';
import { mountOptions } from './mounts.js';
import { namespaceOptions } from './namespaces.js';
import { networkOptions, networksOf } from './network.js';
import { securityOptions } from './security.js';

/** What a terminal's programs are told that it is, by docker. */
const TERM = 'TERM=xterm';
const NAME = /^[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*$/;
const MAX_NAME = 76;
/** Those of setrlimit(2). */
const RLIMITS = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
];
/** The highest of them, which is no limit (RLIM_INFINITY). */
const MAX_RLIMIT = 2n ** 64n - 1n;

/** @param words the image, unless there is --rootfs, and the command */
export function createOptions(id: string, words: readonly string[], flags: RunFlags): CreateOptions {
  const [image, args] = flags.rootfs === undefined ? [words[0], words.slice(1)] : [undefined, words];
  if (image === undefined && flags.rootfs === undefined)
    throw new UsageError('there is neither an image nor --rootfs DIR');
  if (flags.rootfs !== undefined && args.length === 0 && flags.entrypoint === undefined)
    throw new UsageError(`--rootfs ${flags.rootfs}: a command must follow, as there is no image that names one`);
  const { oomScoreAdj } = flags;
  if (oomScoreAdj !== undefined && oomScoreAdj > 1000)
    throw new UsageError(`--oom-score-adj ${oomScoreAdj}: it is from -1000 to 1000`);
  const env = environment(flags.env, flags.envFile);
  const limits = limitsOf(flags);
  return {
    id,
    ...(args.length === 0 ? {} : { args }),
    ...(image === undefined ? { rootfs: rootfsOf(flags.rootfs!) } : { image }),
    ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint === '' ? [] : [flags.entrypoint] }),
    env: flags.tty && !env.some((one) => one.startsWith('TERM=')) ? [TERM, ...env] : env,
    cwd: flags.workdir,
    user: flags.user,
    groupAdd: flags.groupAdd,
    init: flags.init,
    oomScoreAdj,
    terminal: flags.tty ?? false,
    capAdd: flags.capAdd,
    capDrop: flags.capDrop,
    privileged: flags.privileged,
    ...(flags.privileged ? { spec: withinBounds } : {}),
    ...securityOptions(flags.securityOpt),
    hostname: flags.hostname ?? hostnameOf(id, flags),
    domainname: flags.domainname,
    ...mountOptions(flags),
    ...deviceOptions(flags),
    readonlyRootfs: flags.readOnly,
    ...networkOptions(flags),
    limits: { ...limits, blkioDevices: disksOf(flags) },
    ...namespaceOptions(flags),
    rlimits: (flags.ulimit ?? []).map(rlimit),
    sysctl: pairs(flags.sysctl, '--sysctl'),
    annotations: pairs(flags.annotation, '--annotation'),
    runtime: flags.runtime,
    ...(flags.cgroupManager === undefined ? {} : { cgroupDriver: cgroupDriver(flags.cgroupManager) }),
    snapshotter: flags.snapshotter,
    platform: flags.platform,
  };
}

/** @throws UsageError when containerd would not take it for an id */
export function checkName(name: string): string {
  if (!NAME.test(name) || name.length > MAX_NAME)
    throw new UsageError(
      `--name ${JSON.stringify(name)}: an id has letters and digits, with single or more of - _ . between them, ${MAX_NAME} at most`,
    );
  return name;
}

/** The host's, or another container's, with their network. */
function hostnameOf(id: string, flags: RunFlags): string | undefined {
  if (flags.uts === 'host' || networksOf(flags).some((name) => name === 'host' || name.startsWith('container:')))
    return undefined;
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

/** Empty is the default, as for the other flags of docker's and nerdctl's. */
function cgroupDriver(name: string): CgroupDriver | undefined {
  if (name === '' || name === 'systemd' || name === 'cgroupfs') return name || undefined;
  throw new UsageError(`--cgroup-manager ${JSON.stringify(name)}: there are systemd and cgroupfs`);
}

/** What is run, for messages. */
export function programOf(spec: { process?: { args?: string[] } }): string | undefined {
  return spec.process?.args?.[0];
}

function rootfsOf(directory: string): string {
  const path = resolve(directory);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new CliError(`--rootfs ${path}: there is no such directory`, FAILED);
  if (!found.isDirectory())
    throw new CliError(
      `--rootfs ${path}: it is no directory; an archive like ${basename(path)} is for \`hawser images import\``,
      FAILED,
    );
  return path;
}

/** As docker has it: -1 is no limit, and a hard limit that is not given is the soft one. */
function rlimit(text: string): { type: string; soft: bigint; hard: bigint } {
  const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/i.exec(text) ?? [];
  if (name === '')
    throw new UsageError(
      `--ulimit ${JSON.stringify(text)}: it is NAME=SOFT or NAME=SOFT:HARD, such as nofile=1024:4096, -1 being no limit`,
    );
  if (!RLIMITS.includes(name.toLowerCase()))
    throw new UsageError(`--ulimit ${JSON.stringify(text)}: there are ${RLIMITS.join(', ')}`);
  const [low, high] = [soft, hard].map((word) => (word === '-1' ? MAX_RLIMIT : BigInt(word))) as [bigint, bigint];
  if (high > MAX_RLIMIT || low > MAX_RLIMIT)
    throw new UsageError(
      `--ulimit ${JSON.stringify(text)}: a limit is ${MAX_RLIMIT.toString()} at most, which is none, as -1 is`,
    );
  if (low > high)
    throw new UsageError(
      `--ulimit ${JSON.stringify(text)}: the soft limit, ${soft === '-1' ? 'none' : soft}, is above the hard one, ${hard}`,
    );
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: low, hard: high };
}
