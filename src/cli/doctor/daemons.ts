/** Daemons that run, and which shim they find. */
import { connect } from 'node:net';
import { CONTAINERD_SOCKET, HAWSERD_SOCKET } from '../address.js';
import { statusOf } from '../enable/status.js';
import { nameOfWritten } from '../enable/written.js';
import { ownShim } from '../enable/own-shim.js';
import { CliError } from '../errors.js';
import { missing, ok, wrong, type Finding, type Patient } from './finding.js';

const PATIENCE_MS = 5000;
const SOCKETS = [
  ['hawserd', HAWSERD_SOCKET],
  ['containerd', CONTAINERD_SOCKET],
  ['docker', '/run/docker.sock'],
] as const;

export async function daemonFindings(patient: Patient): Promise<Finding[]> {
  const { address, root } = patient;
  const known = SOCKETS.map(([name, path]) => socket(`${name}'s socket`, root.at(path), path === address));
  const named = SOCKETS.some(([, path]) => path === address) || address === undefined ? [] : [address];
  const others = named.map((path) => socket('the socket that was named', path, true));
  return [...(await Promise.all([...known, ...others])), ...enabled(patient)];
}

/** @param isExpected somebody said that a daemon is there */
async function socket(what: string, path: string, isExpected: boolean): Promise<Finding> {
  const code = await knock(path);
  if (code === undefined) return ok(what, `${path} answers`);
  const say = isExpected ? wrong : missing;
  switch (code) {
    case 'ENOENT':
      return say(what, `${path} is not there`, 'the daemon does not run: start it where it is needed');
    case 'ECONNREFUSED':
      return say(what, `${path} is there, but nobody listens`, 'the daemon does not run: start it where it is needed');
    case 'EACCES':
      return say(what, `${path} is not for this user`, "run hawser as root, or as one of the socket's group");
    default:
      return wrong(what, `${path}: ${code}`, 'the daemon is stuck, or it is no socket: look at its log');
  }
}

/** @returns undefined when somebody listens, else why not */
function knock(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const connection = connect(path);
    const end = (code: string | undefined): void => {
      connection.destroy();
      resolve(code);
    };
    connection.setTimeout(PATIENCE_MS, () => end('no answer'));
    connection.once('connect', () => end(undefined));
    connection.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/** What `hawser shim enable` has written, and what comes of it. */
function enabled({ root, library }: Patient): Finding[] {
  try {
    const { written, services } = statusOf(root, root.inside(ownShim(library)));
    const lost = written.filter(({ isMissing }) => isMissing);
    if (lost.length > 0)
      return lost.map((one) =>
        wrong(
          'enabled',
          `${nameOfWritten(one)} leads to ${one.shim}, which is not there`,
          '`hawser shim enable` it again, or `hawser shim disable`',
        ),
      );
    const old = services.find(({ next, running }) => running !== undefined && running.finds?.shim !== next?.shim);
    if (old !== undefined)
      return [
        missing(
          'enabled',
          `${old.name} would find ${old.next?.shim ?? 'no shim'}, and its process has ${old.running?.finds?.shim ?? 'none'}`,
          `\`systemctl restart ${old.name.replace(/\.service$/, '')}\` makes that true`,
        ),
      ];
    const names = [
      ...services.flatMap(({ name, next }) => (next?.isOurs ? [`${name}, by its PATH`] : [])),
      ...written.filter(({ kind }) => kind !== 'service').map(nameOfWritten),
    ];
    return [
      names.length > 0
        ? ok('enabled', names.join('; '))
        : missing('enabled', 'nowhere', "containerd's and docker's containers have other shims: `hawser shim enable`"),
    ];
  } catch (error) {
    // A configuration that cannot be read was told of with its daemon, and a shim that is not there by itself.
    if (error instanceof CliError) return [];
    throw error;
  }
}
