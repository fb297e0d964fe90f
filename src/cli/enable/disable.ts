/** Takes away what enable has written, and nothing else. */
import { CliError } from '../errors.js';
import { together, type Change, type Plan } from './change.js';
import { CONTAINERD_SERVICE, lookAtContainerd, RESTART_NOTE, restartOf } from './containerd.js';
import { withoutRuntime } from './containerd-runtime.js';
import { runtimesOf, table } from './cri-config.js';
import { DOCKER_NOTE, lookAtDocker, withoutDockerRuntimes } from './docker.js';
import { optionsFile } from './names.js';
import { removal } from './ours.js';
import { restartNotes, stepsOf } from './path.js';
import type { Root } from './root.js';
import { readService } from './service.js';
import { leadsToOurs } from './shims.js';
import { allWritten, nameOfWritten, type Written } from './written.js';

export interface Disabling extends Plan {
  /** What was edited since, and stays. */
  readonly kept: readonly Written[];
}

/**
 * @param force what was edited goes, too, and runtimes that containers of docker's were made for
 * @throws CliError when a daemon could not start, or containers not be started again, without what is to go
 */
export function disable(root: Root, force: boolean): Disabling {
  const all = allWritten(root);
  const gone = all.filter(({ isEdited }) => force || !isEdited);
  const plan = together([
    ...gone.filter(({ kind }) => kind === 'service').map((one) => service(root, one)),
    containerd(
      root,
      gone.filter(({ kind }) => kind === 'containerd'),
    ),
    docker(
      root,
      gone.filter(({ kind }) => kind === 'docker').map(({ name }) => name),
      force,
    ),
  ]);
  return { ...plan, kept: all.filter((one) => !gone.includes(one)) };
}

function service(root: Root, { name, path }: Written): Plan {
  const unit = readService(root, name);
  const earlier = unit && leadsToOurs(root, unit.path);
  return {
    changes: removal(root, path),
    steps: stepsOf({ name }),
    notes: [
      earlier === undefined
        ? `Then containers that are started of ${name} have the shim that comes with the daemon; those that run keep Hawser's until they end.`
        : `MIND: ${earlier} is Hawser's as well, of an earlier installation, and the PATH of ${name} leads there: remove it for containerd's own shim to be found.`,
      ...(unit === undefined ? [] : restartNotes(root, unit)),
    ],
  };
}

function containerd(root: Root, written: readonly Written[]): Plan {
  if (written.length === 0) return { changes: [], steps: [], notes: [] };
  const { file, text, config } = lookAtContainerd(root);
  const names = written.map(({ name }) => name);
  const { byDefault } = runtimesOf(config);
  if (names.includes(byDefault))
    throw new CliError(
      `${root.at(file)} has ${byDefault} as its default_runtime_name, without which containerd starts no pod: change that first`,
    );
  let after = text;
  for (const { name } of written.filter(({ isPart }) => isPart)) after = withoutRuntime(after, name);
  return {
    changes: [
      ...written.filter(({ isPart }) => !isPart).flatMap(({ path }) => removal(root, path)),
      { path: file, before: text, after },
      ...optionsOf(root, 'containerd', names),
    ],
    steps: [restartOf(root)],
    notes: [
      `Pods that run keep Hawser's shim; but none can be started of a RuntimeClass whose handler is ${names.join(' or ')}.`,
      ...(readService(root, CONTAINERD_SERVICE)?.killsAll ? [] : [RESTART_NOTE]),
    ],
  };
}

function docker(root: Root, names: readonly string[], force: boolean): Plan {
  if (names.length === 0) return { changes: [], steps: [], notes: [] };
  const found = lookAtDocker(root);
  const changes = [...withoutDockerRuntimes(root, found, names, force), ...optionsOf(root, 'docker', names)];
  // dockerd passes over what its configuration does not name any more.
  if (Object.keys(table(found.config.runtimes) ?? {}).every((name) => names.includes(name)))
    return {
      changes,
      steps: [],
      notes: [
        `dockerd forgets ${names.join(' and ')} when it is started again the next time; until then no container can be started of it. Nothing has to be restarted for that.`,
      ],
    };
  return {
    changes,
    steps: [found.service === undefined ? 'send dockerd a SIGHUP' : 'systemctl reload docker'],
    notes: [DOCKER_NOTE],
  };
}

function optionsOf(root: Root, daemon: 'containerd' | 'docker', names: readonly string[]): Change[] {
  return names.flatMap((name) => removal(root, optionsFile(daemon, name)));
}

/** Why something stays. */
export function keptNote(root: Root, written: Written): string {
  return `${root.at(written.path)} stays, as what is there for ${nameOfWritten(written)} was edited since enable wrote it: take it away by hand, or say --force`;
}
