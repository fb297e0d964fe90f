/** A service whose PATH begins with the directory of our shim: every container of its default runtime has it then. */
import { dirname } from 'node:path';
import { CliError } from '../errors.js';
import type { Plan } from './change.js';
import { CONTAINERD_SERVICE, RESTART_NOTE } from './containerd.js';
import { DOCKER_SERVICE, lookAtDocker } from './docker.js';
import { sealed } from './marks.js';
import { ours } from './ours.js';
import type { Root } from './root.js';
import { dropInOf, dropInText, flagOf, readService, type Service } from './service.js';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

/** @throws CliError when there is no such service, or its PATH cannot be set */
export function enablePath(root: Root, daemon: 'containerd' | 'docker', shim: string): Plan {
  const service = daemon === 'docker' ? launcherOf(root) : serviceOf(root, CONTAINERD_SERVICE, shim);
  if (service.pathFile !== undefined)
    throw new CliError(
      `${service.name} has its PATH from ${root.at(service.pathFile)}, which holds whatever a drop-in says: put ${dirname(shim)} first there`,
    );
  const path = dropInOf(service.name);
  const body = dropInText(dirname(shim), service.path);
  const forDocker =
    daemon === 'docker' && service.name === CONTAINERD_SERVICE
      ? [`It is ${CONTAINERD_SERVICE} that starts docker's shims, so its other clients' containers have ours, too.`]
      : [];
  return {
    changes: [{ path, before: ours(root, path), after: sealed(body) }],
    steps: stepsOf(service),
    notes: [
      `Then every container that is started of ${service.name} has Hawser's shim, unless it has a runtime of its own.`,
      ...forDocker,
      ...restartNotes(root, service),
    ],
  };
}

/** What makes a service read its drop-ins, and have another PATH. */
export function stepsOf({ name }: Pick<Service, 'name'>): string[] {
  return ['systemctl daemon-reload', `systemctl restart ${name.replace(/\.service$/, '')}`];
}

/** What is felt of the restart of a service. */
export function restartNotes(root: Root, service: Service): string[] {
  if (service.name === DOCKER_SERVICE)
    return lookAtDocker(root).config['live-restore'] === true
      ? ['Containers that run go on while docker restarts (live-restore), with the shim that they have.']
      : ["docker's restart ends its containers, as live-restore is not set in its configuration."];
  return service.killsAll
    ? [`MIND: ${service.name} has no KillMode=process, so its restart ends all of its containers.`]
    : [RESTART_NOTE];
}

function serviceOf(root: Root, name: string, shim: string): Service {
  const service = readService(root, name);
  if (service === undefined)
    throw new CliError(
      `there is no ${name} below ${root.at('/')}: put ${dirname(shim)} first in the PATH of whatever starts it`,
    );
  return service;
}

/** The service that starts docker's shims: containerd's, or its own where it runs a containerd itself. */
function launcherOf(root: Root): Service {
  const docker = readService(root, DOCKER_SERVICE);
  if (docker === undefined)
    throw new CliError(
      `there is no ${DOCKER_SERVICE} below ${root.at('/')}: put the shim's directory first in its PATH`,
    );
  const { config } = lookAtDocker(root);
  const told = flagOf(docker.command, 'containerd') ?? (typeof config.containerd === 'string' ? config.containerd : '');
  const containerd = readService(root, CONTAINERD_SERVICE);
  if (told !== '' && told !== CONTAINERD_SOCKET)
    throw new CliError(
      `docker is on the containerd at ${told}, whose service is not known: put the shim's directory first in that one's PATH`,
    );
  return containerd ?? docker;
}
