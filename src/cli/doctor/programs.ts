/** Programs of others, and whether they are of versions that Hawser is for. */
import { PLUGIN_DIRS } from '../../client/network/places.js';
import { lookAtContainerd } from '../enable/containerd.js';
import { lookAtDocker } from '../enable/docker.js';
import { findProgram, said, type Program } from '../enable/program.js';
import { Unreadable } from '../enable/root.js';
import { CliError } from '../errors.js';
import { isFrom, missing, ok, wrong, type Finding, type Patient } from './finding.js';
import { packetFilterFindings } from './packet-filter.js';

/** The plugins that Hawser's own networks need. */
const NEEDED = ['bridge', 'host-local', 'portmap', 'firewall', 'tuning'];

export function programFindings(patient: Patient): Finding[] {
  return [runc(patient), crun(patient), criu(patient), ...networks(patient), containerd(patient), docker(patient)];
}

function runc({ root }: Patient): Finding {
  const found = findProgram(root, 'runc');
  if (found !== undefined)
    return known(found, 'runc', [1, 0], missing('runc', version(found), 'nothing before 1.1 was tried with this shim'));
  return findProgram(root, 'crun') === undefined
    ? wrong('runc', 'not found', 'it is what makes containers: install runc or crun')
    : missing(
        'runc',
        'not found',
        'containers must be told another runtime: --runc-binary crun, or BinaryName in options',
      );
}

function crun({ root }: Patient): Finding {
  const found = findProgram(root, 'crun');
  if (found === undefined) return missing('crun', 'not found', 'no runtime but runc, which needs none');
  if (root.exists('/sys/fs/cgroup/unified/cgroup.controllers'))
    return missing(
      'crun',
      version(found),
      'it takes the cgroup v2 that is beside v1 for its own, and may make no container',
    );
  return ok('crun', version(found));
}

function criu({ root, uid }: Patient): Finding {
  const found = findProgram(root, 'criu');
  if (found === undefined) return missing('criu', 'not found', 'no checkpoints, and none restored');
  if (uid === 0 && root.isThisMachine && said(found.file, ['check']) === undefined)
    return missing(
      'criu',
      `${version(found)}, and \`criu check\` fails`,
      'no checkpoints: it does not work on this kernel',
    );
  return ok('criu', version(found));
}

/** What `hawser run` needs unless it is told `--network none` or host. */
function networks(patient: Patient): Finding[] {
  return [cni(patient), ...packetFilterFindings(patient)];
}

function cni({ root }: Patient): Finding {
  const found = PLUGIN_DIRS.filter((dir) => root.list(dir).length > 0);
  if (found.length === 0)
    return missing(
      'CNI plugins',
      `none in ${PLUGIN_DIRS.join(', ')}`,
      'no networks but none and host: install the package containernetworking-plugins',
    );
  const without = NEEDED.filter((name) => !found.some((dir) => root.exists(`${dir}/${name}`)));
  if (without.length > 0)
    return missing(
      'CNI plugins',
      `${found.join(', ')}, without ${without.join(', ')}`,
      "no networks of Hawser's: install the package containernetworking-plugins",
    );
  return ok('CNI plugins', found.join(', '));
}

function containerd({ root }: Patient): Finding {
  const found = findProgram(root, 'containerd');
  if (found === undefined)
    return missing('containerd', 'not found', "hawserd is there in its place; no Kubernetes, and no docker's own");
  return (
    misconfigured('containerd', found, () => lookAtContainerd(root)) ??
    known(found, 'containerd', [1, 6], wrong('containerd', version(found), 'the shim is for 1.6 and later: upgrade it'))
  );
}

function docker({ root }: Patient): Finding {
  const found = findProgram(root, 'dockerd');
  if (found === undefined) return missing('docker', 'not found', 'no docker');
  return (
    misconfigured('docker', found, () => lookAtDocker(root)) ??
    known(found, 'docker', [20, 10], missing('docker', version(found), 'nothing before 20.10 was tried with this shim'))
  );
}

function known(program: Program, what: string, first: readonly [number, number], otherwise: Finding): Finding {
  if (program.version === undefined) return wrong(what, `${program.file} does not run`, 'install it again');
  return isFrom(first, program) ? ok(what, version(program)) : otherwise;
}

function misconfigured(what: string, program: Program, look: () => unknown): Finding | undefined {
  try {
    look();
    return undefined;
  } catch (error) {
    if (error instanceof Unreadable)
      return missing(what, `${version(program)}; ${error.message}`, 'its configuration was not looked at');
    if (!(error instanceof CliError)) throw error;
    return wrong(what, `${version(program)}; ${error.message}`, `${what} does not start so: put that right`);
  }
}

function version({ version: of, file }: Program): string {
  return `${of ?? 'of an unknown version'}, ${file}`;
}
