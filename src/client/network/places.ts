/** Where networks, plugins and what is known of containers lie. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { NetworkPlaces } from './types.js';

/** Places that have been decided on. */
export interface Places {
  readonly confDir: string;
  /** The daemon's, whose networks are looked for, too; undefined in states that were written before there was this. */
  readonly namespace?: string;
  readonly pluginDirs: readonly string[];
  readonly stateDir: string;
  readonly pinDir: string;
}

/** The standard's own, Debian's, Fedora's. */
export const PLUGIN_DIRS = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'];
export const CONF_DIR = '/etc/cni/net.d';
const STATE_DIR = '/var/lib/hawser/network';
const PIN_DIR = '/run/hawser/netns';
/** Where programs such as iptables are. */
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** nerdctl's names of the variables. */
export function placesOf(given: NetworkPlaces = {}, namespace?: string): Places {
  const { CNI_PATH, NETCONFPATH } = process.env;
  const fromEnvironment = CNI_PATH?.split(delimiter).filter(Boolean);
  return {
    confDir: given.confDir || NETCONFPATH || CONF_DIR,
    ...(namespace === undefined ? {} : { namespace }),
    pluginDirs: given.pluginDirs ?? (fromEnvironment?.length ? fromEnvironment : PLUGIN_DIRS),
    stateDir: given.stateDir || STATE_DIR,
    pinDir: given.pinDir || PIN_DIR,
  };
}

/** The PATH of plugins, which run iptables as root: where the system has its programs, and then this program's own. */
export function programPath(): string {
  const own = (process.env.PATH ?? '').split(delimiter).filter((dir) => dir.startsWith('/'));
  return [...new Set([...SYSTEM_PATH, ...own])].join(delimiter);
}

/** The path of a program in the first directory that has it. */
export function findIn(dirs: readonly string[], name: string): string | undefined {
  return dirs.map((dir) => join(dir, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
