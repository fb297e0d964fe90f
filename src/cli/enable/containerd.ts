/** containerd as it is set up: its program, and its configuration. */
import { dirname } from 'node:path';
import { importsOf, parseConfig, type Table } from './cri-config.js';
import { findProgram, type Program } from './program.js';
import type { Root } from './root.js';
import { flagOf, readService } from './service.js';

const CONFIG = '/etc/containerd/config.toml';
export const CONTAINERD_SERVICE = 'containerd.service';

export interface Containerd {
  readonly program: Program | undefined;
  /** Its configuration, which may not be there: then it has its defaults. */
  readonly file: string;
  readonly text: string | undefined;
  readonly config: Table;
  /** Of the file; of what would be written where there is none. */
  readonly version: number;
  readonly isTwo: boolean;
  /** Directories of which it imports all files. */
  readonly imports: readonly string[];
}

/** @throws CliError when its configuration is no TOML */
export function lookAtContainerd(root: Root): Containerd {
  const command = readService(root, CONTAINERD_SERVICE)?.command ?? [];
  const program = findProgram(root, 'containerd', command[0]);
  const file = flagOf(command, 'c', 'config') ?? CONFIG;
  const text = root.read(file);
  const config = text === undefined ? {} : parseConfig(text, root.at(file));
  const isTwo = (program?.major ?? 0) >= 2 || config.version === 3;
  const version = text === undefined ? (isTwo ? 3 : 2) : typeof config.version === 'number' ? config.version : 1;
  const imports = importsOf(root, config, file)
    .filter((one) => one.endsWith('/*.toml'))
    .map((one) => root.inside(dirname(one)));
  return { program, file, text, config, version, isTwo, imports };
}

export const RESTART_NOTE =
  'Containers that run go on while containerd restarts, with the shim that they have; its clients (kubelet, docker, ctr) are without an answer for a moment.';

/** How containerd is made to read its configuration. */
export function restartOf(root: Root): string {
  return readService(root, CONTAINERD_SERVICE) === undefined
    ? 'restart containerd, by whatever starts it'
    : 'systemctl restart containerd';
}
