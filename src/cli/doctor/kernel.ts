/** What the kernel has for containers. */
import { accessSync, constants } from 'node:fs';
import { isFrom, missing, ok, wrong, type Finding, type Patient } from './finding.js';

const CGROUPS = '/sys/fs/cgroup';
/** pidfd_open(2), by which processes are watched. */
const FIRST: readonly [number, number] = [5, 3];
/** mount_setattr(2), which shifts owners. */
const FIRST_WITH_SHIFTS: readonly [number, number] = [5, 12];
/** Without which limits are not kept, with what is lost. */
const CONTROLLERS = { cpu: '--cpus', memory: '--memory and out-of-memory events', pids: '--pids-limit' };
/** Without which runc makes no container on cgroup v1. */
const HIERARCHIES = ['devices', 'freezer'];

export function kernelFindings(patient: Patient): Finding[] {
  return [kernel(patient), cgroups(patient), overlay(patient)];
}

function kernel({ release }: Patient): Finding {
  const [major = 0, minor = 0] = release.split('.').map((part) => parseInt(part, 10));
  const version = { major, minor };
  if (!isFrom(FIRST, version))
    return wrong('kernel', release, `the shim watches processes as Linux ${FIRST.join('.')} and later let it: upgrade`);
  if (!isFrom(FIRST_WITH_SHIFTS, version))
    return missing(
      'kernel',
      release,
      `no mounts whose owners are shifted: they take Linux ${FIRST_WITH_SHIFTS.join('.')}`,
    );
  return ok('kernel', release);
}

function cgroups(patient: Patient): Finding {
  const { root } = patient;
  const unified = root.read(`${CGROUPS}/cgroup.controllers`);
  if (unified !== undefined) return version2(patient, words(unified));
  const mounted = root.list(CGROUPS).filter((name) => root.exists(`${CGROUPS}/${name}/tasks`));
  if (mounted.length === 0)
    return wrong('cgroups', `none below ${CGROUPS}`, 'runc makes no container without: mount cgroup2 there');
  const kind = root.exists(`${CGROUPS}/unified/cgroup.controllers`) ? 'v1, with v2 beside it (hybrid)' : 'v1';
  const without = HIERARCHIES.filter((name) => !mounted.includes(name));
  if (without.length > 0)
    return wrong('cgroups', `${kind}, without ${without.join(' and ')}`, 'runc makes no container without: mount them');
  const closed = mounted.find((name) => !isWritable(patient, `${CGROUPS}/${name}`));
  return closed === undefined ? limits(kind, mounted) : readOnly(patient, kind, `${CGROUPS}/${closed}`);
}

function version2(patient: Patient, controllers: string[]): Finding {
  if (!isWritable(patient, CGROUPS)) return readOnly(patient, 'v2', CGROUPS);
  // The machine's own root hands everything down; any other cgroup only what it has been told to.
  const isNested = patient.root.exists(`${CGROUPS}/cgroup.type`);
  if (!isNested) return limits('v2', controllers);
  const handed = words(patient.root.read(`${CGROUPS}/cgroup.subtree_control`) ?? '');
  return limits(
    'v2, in a container',
    handed,
    ': have them handed down by cgroup.subtree_control, for which the processes there must be in cgroups below',
  );
}

/** Who isn't root has no cgroups of their own in any case, which is told elsewhere. */
function readOnly({ uid }: Patient, kind: string, directory: string): Finding {
  return uid === 0
    ? wrong('cgroups', `${kind}, ${directory} cannot be written to`, 'runc makes no container so: mount it for writing')
    : ok('cgroups', `${kind}, not this user's`);
}

function limits(kind: string, controllers: readonly string[], more = ''): Finding {
  const without = Object.entries(CONTROLLERS).filter(([name]) => !controllers.includes(name));
  if (without.length === 0) return ok('cgroups', kind);
  return missing(
    'cgroups',
    `${kind}, without ${without.map(([name]) => name).join(', ')}`,
    `no ${without.map(([, flags]) => flags).join(', ')}${more}`,
  );
}

function overlay({ root, release }: Patient): Finding {
  const loaded = /\boverlay$/m.test(root.read('/proc/filesystems') ?? '');
  const isModule = [`/lib/modules/${release}/modules.dep`, `/lib/modules/${release}/modules.builtin`]
    .map((file) => root.read(file) ?? '')
    .join('\n')
    .includes('/overlay.ko');
  if (loaded || isModule) return ok('overlayfs', loaded ? 'there' : 'a module, not loaded yet');
  return missing('overlayfs', 'not there', 'images are copied for each container (--snapshotter native)');
}

function isWritable({ root }: Patient, directory: string): boolean {
  try {
    accessSync(root.at(directory), constants.W_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
