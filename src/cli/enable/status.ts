/** Which shim containers get: by what is written, and by what the daemons that run were started with. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { tryRead } from '../host/read.js';
import { isHawsers } from '../shim/find.js';
import { CONTAINERD_SERVICE } from './containerd.js';
import { DOCKER_SERVICE } from './docker.js';
import type { Root } from './root.js';
import { pathOf, readService } from './service.js';
import { firstShim, type Found } from './shims.js';
import { allWritten, type Written } from './written.js';

/** A service that starts shims, and which one it finds. */
export interface ServiceStatus {
  readonly name: string;
  /** When it is started the next time. */
  readonly next: Found | undefined;
  /** The process that runs, which may have been started before; undefined when none does, or it is not for us to see. */
  readonly running: { readonly pid: number; readonly finds: Found | undefined } | undefined;
}

export interface Status {
  readonly written: readonly (Written & { readonly isMissing: boolean })[];
  readonly services: readonly ServiceStatus[];
  /** How many shims run. */
  readonly shims: { readonly ours: number; readonly others: number };
}

/**
 * @param own our shim, which is there also if the root does not have it
 * @param proc where processes are looked for, if the root is this machine's
 */
export function statusOf(root: Root, own: string, proc = '/proc'): Status {
  return {
    written: allWritten(root).map((one) => ({
      ...one,
      isMissing: one.shim !== undefined && one.shim !== own && !root.exists(one.shim),
    })),
    services: services(root, own, proc),
    shims: root.isThisMachine ? countShims(proc) : { ours: 0, others: 0 },
  };
}

/** docker's is one only where there is no containerd's. */
function services(root: Root, own: string, proc: string): ServiceStatus[] {
  const service = readService(root, CONTAINERD_SERVICE) ?? readService(root, DOCKER_SERVICE);
  if (service === undefined) return [];
  const pid = root.isThisMachine ? mainProcess(service.name, proc) : undefined;
  const path = pid === undefined ? undefined : environmentOf(pid, proc).PATH;
  return [
    {
      name: service.name,
      next: firstShim(root, pathOf(root, service), own),
      running: pid === undefined || path === undefined ? undefined : { pid, finds: firstShim(root, path, own) },
    },
  ];
}

/** Shims are in the daemon's cgroup as well, but have other names. */
function mainProcess(service: string, proc: string): number | undefined {
  const names = service === DOCKER_SERVICE ? ['dockerd'] : ['containerd'];
  return processes(proc).find(
    (pid) =>
      names.includes(tryRead(join(proc, String(pid), 'comm'))?.trim() ?? '') &&
      (tryRead(join(proc, String(pid), 'cgroup')) ?? '').split('\n').some((line) => line.endsWith(`/${service}`)),
  );
}

function countShims(proc: string): Status['shims'] {
  let [ours, others] = [0, 0];
  for (const pid of processes(proc)) {
    const words = tryRead(join(proc, String(pid), 'cmdline'))?.split('\0') ?? [];
    if (!words.includes('-namespace') || !words.includes('-id') || !words.includes('-address')) continue;
    if (isHawsers(pid)) ours++;
    else others++;
  }
  return { ours, others };
}

function environmentOf(pid: number, proc: string): Record<string, string> {
  const pairs = (tryRead(join(proc, String(pid), 'environ')) ?? '').split('\0');
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, pair.slice(pair.indexOf('=') + 1)]));
}

function processes(proc: string): number[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
