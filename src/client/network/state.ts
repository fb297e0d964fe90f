/**
 * What is known of a container and its networks: a directory for each, which survives daemons and restarts of the machine. `request.json` is
 * what the container wants, `up.json` what has been done for it (written before it is done), and there are the files for its /etc.
 */
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { startOf } from '../process-start.js';
import type { Attaching } from './cni/attach.js';
import { codeOf } from './failure.js';
import type { Places } from './places.js';
import type { PortMapping } from './types.js';

/** The names of the files for /etc. */
export const FILES = ['hosts', 'resolv.conf', 'hostname'] as const;

/** Which network, by which interface. */
export interface Wanted {
  readonly name: string;
  readonly interface: string;
  /** CNI_ARGS: an address, a hardware address. */
  readonly args: readonly string[];
}

export interface Resolving {
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** What a container wants. */
export interface Request {
  readonly version: 1;
  readonly id: string;
  readonly namespace: string;
  readonly address: string;
  /** As others know it: nerdctl's name for it, or its id. */
  readonly name: string;
  readonly hostname: string;
  /** With it, the host name is whole. */
  readonly domainname?: string;
  readonly aliases: readonly string[];
  /** As it was said: names, or one of `none`, `host`, `container:ID` and a path. */
  readonly networks: readonly string[];
  /** What is to be done when it starts. */
  readonly wanted: readonly Wanted[];
  readonly ports: readonly PortMapping[];
  readonly resolving: Resolving;
  readonly extraHosts: readonly string[];
  readonly places: Places;
}

/** A process for good: its pid and when it was started. */
export interface ProcessName {
  readonly pid: number;
  readonly start: string;
}

/** What has been done for a container that was started. */
export interface Up {
  readonly version: 1;
  /** Of the kernel that runs: after a restart of the machine nothing of it is there but addresses that are reserved. */
  readonly bootId: string;
  readonly process: ProcessName;
  /** The namespaces in which that pid, and the pin, are meant. */
  readonly namespaces: string;
  /** Where its network namespace is held. */
  readonly pin: string;
  readonly attachings: readonly Attaching[];
  /** Why it could not be undone, when that was tried. */
  readonly failure?: string;
}

/** A container's directory. */
export function directoryOf({ stateDir }: Pick<Places, 'stateDir'>, scope: string, id: string): string {
  return join(stateDir, 'containers', scope, id);
}

/** All directories, of every daemon and namespace, or of one. */
export function allDirectories({ stateDir }: Pick<Places, 'stateDir'>, scope?: string): string[] {
  const top = join(stateDir, 'containers');
  const scopes = scope === undefined ? names(top) : [scope];
  return scopes.flatMap((one) => names(join(top, one)).map((id) => join(top, one, id)));
}

/** Those of the same daemon and namespace. */
export function neighboursOf(dir: string): string[] {
  return names(dirname(dir))
    .filter((id) => id !== basename(dir))
    .map((id) => join(dirname(dir), id));
}

export function readRequest(dir: string): Request | undefined {
  return readJson(join(dir, 'request.json')) as Request | undefined;
}

export function writeRequest(dir: string, request: Request): void {
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  writeJson(join(dir, 'request.json'), request);
}

export function readUp(dir: string): Up | undefined {
  return readJson(join(dir, 'up.json')) as Up | undefined;
}

export function writeUp(dir: string, up: Up): void {
  writeJson(join(dir, 'up.json'), up);
}

export function removeUp(dir: string): void {
  rmSync(join(dir, 'up.json'), { force: true });
}

/** With what is empty above. */
export function removeDirectory(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  removeEmpty(dirname(dir));
  removeEmpty(dirname(dirname(dir)));
}

function isAlive({ pid, start }: ProcessName): boolean {
  return startOf(pid) === start;
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** Of processes and of mounts. */
export function ownNamespaces(): string {
  return ['pid', 'mnt'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`)).join(' ');
}

/** Whether a container that was started is known to have ended. One whose pid means nothing here is left alone. */
export function hasEnded(up: Up): boolean {
  if (up.bootId !== bootId()) return true;
  return up.namespaces === ownNamespaces() && !isAlive(up.process);
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return [];
    throw error;
  }
}

/** Leaves what others have there. */
export function removeEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    if (!['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes(codeOf(error) ?? '')) throw error;
  }
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is damaged: ${(cause as Error).message}`, { cause });
  }
}

/** Whole or not at all, whoever is killed. */
function writeJson(path: string, value: unknown): void {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(own, path);
}
