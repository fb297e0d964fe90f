/** A runtime in dockerd's configuration. */
import { stringify } from 'smol-toml';
import { parseExact } from '../../oci/json.js';
import { CliError, oneLine, textOf } from '../errors.js';
import type { Change, Plan } from './change.js';
import { table, type Table } from './cri-config.js';
import { jsonText } from './json-file.js';
import { sealed } from './marks.js';
import { optionsFile } from './names.js';
import { ours } from './ours.js';
import { findProgram } from './program.js';
import type { Root } from './root.js';
import { flagOf, readService, type Service } from './service.js';

export const DOCKER_SERVICE = 'docker.service';
const CONFIG = '/etc/docker/daemon.json';
/** From which on a runtime may name a shim. */
const FIRST_WITH_SHIMS = 23;
const MADE_FILE = '# There was no configuration of dockerd before.\n';

export const DOCKER_NOTE =
  'dockerd reads that without a restart; containers that run notice nothing, and keep the shim that they have.';

export interface Docker {
  readonly service: Service | undefined;
  readonly file: string;
  readonly text: string | undefined;
  readonly config: Table;
}

/** @throws CliError when its configuration is no JSON */
export function lookAtDocker(root: Root): Docker {
  const service = readService(root, DOCKER_SERVICE);
  const file = flagOf(service?.command ?? [], 'config-file') ?? CONFIG;
  const text = root.read(file);
  let config;
  try {
    config = table(parseExact(text?.trim() ? text : '{}'));
  } catch (error) {
    throw new CliError(`${root.at(file)} is no JSON: ${oneLine(textOf(error))}`, 1, { cause: error });
  }
  if (config === undefined) throw new CliError(`${root.at(file)} holds no object`);
  return { service, file, text, config };
}

/** @throws CliError when dockerd takes no shims there, or the name is taken */
export function enableDockerRuntime(root: Root, name: string, shim: string): Plan {
  const { service, file, text, config } = lookAtDocker(root);
  const program = findProgram(root, 'dockerd', service?.command[0]);
  if (program?.version === undefined)
    throw new CliError(`dockerd is not below ${root.at('/')}: install it, or say with --root where it is`);
  if (program.major < FIRST_WITH_SHIMS)
    throw new CliError(
      `dockerd ${program.version} takes no shim for a runtime, as ${FIRST_WITH_SHIMS}.0 and later do: leave out --runtime-class, which is for all of its containers`,
    );
  if (flagOf(service?.command ?? [], 'add-runtime') !== undefined)
    throw new CliError(
      `${service!.unit} has --add-runtime, and dockerd takes its runtimes from its flags or from ${file}, not from both: add --add-runtime's into ${file} first`,
    );
  const runtimes = table(config.runtimes) ?? {};
  const optionsPath = optionsFile('docker', name);
  if (runtimes[name] !== undefined && !isOurs(name, runtimes[name]))
    throw new CliError(`${root.at(file)} has a runtime ${name} already, which is not of enable's: choose another name`);
  const before = ours(root, optionsPath);
  const entry = { runtimeType: shim, options: { ConfigPath: optionsPath } };
  const madeFile = before === undefined ? text === undefined : before.includes(MADE_FILE);
  const options = `${madeFile ? MADE_FILE : ''}${stringify({ SystemdCgroup: usesSystemd(root, config, service) })}`;
  return {
    changes: [
      { path: optionsPath, before, after: sealed(options) },
      {
        path: file,
        before: text,
        after: jsonText(text, { ...config, runtimes: { ...runtimes, [name]: entry } }, 'runtimes'),
      },
    ],
    steps: [service === undefined ? 'send dockerd a SIGHUP' : 'systemctl reload docker'],
    notes: [
      `Then \`docker run --runtime ${name}\` runs a container in Hawser's shim. Other containers have the shim that they would have had.`,
      DOCKER_NOTE,
    ],
  };
}

/** Runtimes that enable has put into dockerd's configuration, as they are there. */
export function dockerRuntimes({ config }: Docker): { name: string; isEdited: boolean; shim: string | undefined }[] {
  return Object.entries(table(config.runtimes) ?? {}).flatMap(([name, entry]) => {
    if (!isOurs(name, entry)) return [];
    const { runtimeType, options, ...more } = entry as Table;
    const isEdited = Object.keys(more).length > 0 || Object.keys(options as Table).length !== 1;
    return [{ name, isEdited, shim: typeof runtimeType === 'string' ? runtimeType : undefined }];
  });
}

/**
 * Takes a runtime out of dockerd's configuration.
 *
 * @throws CliError when containers were made for it, which dockerd could not start any more, unless that is wanted
 */
export function withoutDockerRuntimes(root: Root, docker: Docker, names: readonly string[], force: boolean): Change[] {
  const { file, text, config } = docker;
  for (const name of names) {
    if (config['default-runtime'] === name)
      throw new CliError(
        `${root.at(file)} has ${name} as its default-runtime, without which dockerd does not start: change that first`,
      );
    const made = force ? [] : madeFor(root, config, name);
    if (made.length > 0)
      throw new CliError(
        `dockerd can't start containers again that were made for the runtime ${name}: ${made.join(', ')}: remove them first, or say --force`,
      );
  }
  const runtimes = Object.fromEntries(
    Object.entries(table(config.runtimes) ?? {}).filter(([name]) => !names.includes(name)),
  );
  const { runtimes: _, ...others } = config;
  const isEmpty = Object.keys(runtimes).length === 0;
  const after = isEmpty ? others : { ...config, runtimes };
  const madeFile = names.some((name) => root.read(optionsFile('docker', name))?.includes(MADE_FILE));
  const isGone = madeFile && Object.keys(after).length === 0;
  return [{ path: file, before: text, after: isGone ? undefined : jsonText(text, after, 'runtimes') }];
}

function isOurs(name: string, entry: unknown): boolean {
  return table(table(entry)?.options)?.ConfigPath === optionsFile('docker', name);
}

/** Which cgroup driver dockerd has: what it is told, or else systemd's where that runs on cgroup v2, as it does where nobody can look. */
function usesSystemd(root: Root, config: Table, service: Service | undefined): boolean {
  const told = [
    ...(Array.isArray(config['exec-opts']) ? config['exec-opts'].map(String) : []),
    ...(service?.command ?? []),
  ]
    .flatMap((word) => /native\.cgroupdriver=(\w+)/.exec(word)?.[1] ?? [])
    .at(-1);
  if (told !== undefined) return told === 'systemd';
  if (!root.isThisMachine) return service !== undefined;
  return root.exists('/sys/fs/cgroup/cgroup.controllers') && root.exists('/run/systemd/system');
}

/** Names of the containers that dockerd keeps for a runtime. */
function madeFor(root: Root, config: Table, runtime: string): string[] {
  const data = typeof config['data-root'] === 'string' ? config['data-root'] : '/var/lib/docker';
  return root.list(`${data}/containers`).flatMap((id) => {
    const of = (file: string): Table => {
      const text = root.read(`${data}/containers/${id}/${file}`);
      return text === undefined ? {} : (table(parseExact(text)) ?? {});
    };
    if (of('hostconfig.json').Runtime !== runtime) return [];
    const { Name } = of('config.v2.json');
    return [typeof Name === 'string' ? Name.replace(/^\//, '') : id.slice(0, 12)];
  });
}
