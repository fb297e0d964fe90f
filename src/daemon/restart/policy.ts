/** What a container's labels say about being started again, as containerd reads them (core/runtime/restart). */
import type { Labels } from '../metadata/types.js';

const PREFIX = 'containerd.io/restart.';

export const LABELS = {
  /** `running` or `stopped`: without it nobody looks after the container. */
  status: `${PREFIX}status`,
  /** `no`, `always`, `on-failure[:TIMES]`, `unless-stopped`; `always` when there is none. */
  policy: `${PREFIX}policy`,
  /** How often it was started again. */
  count: `${PREFIX}count`,
  /** A client has stopped it: `true` as Go's ParseBool has it. */
  explicitlyStopped: `${PREFIX}explicitly-stopped`,
  /** Where its output goes: `file://` or `binary://`. */
  logUri: `${PREFIX}loguri`,
  /** The path of a log file, from clients of containerd 1.x. */
  logPath: `${PREFIX}logpath`,
} as const;

export interface Policy {
  readonly name: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  /** How often at most; 0 for without end. */
  readonly most: number;
}

/**
 * Reads a policy.
 *
 * @throws Error for one that there is not
 */
export function parsePolicy(text: string): Policy {
  const [name = '', most, ...more] = text.split(':');
  if (name === 'on-failure' && more.length === 0 && (most === undefined || /^[+-]?\d{1,9}$/.test(most)))
    return { name, most: Math.max(0, Number(most ?? 0)) };
  if (name === '' && most === undefined) return { name: 'always', most: 0 };
  if ((name === 'no' || name === 'always' || name === 'unless-stopped') && most === undefined) return { name, most: 0 };
  throw new Error(
    `restart policy ${JSON.stringify(text)} is none of no, always, unless-stopped, on-failure, on-failure:TIMES`,
  );
}

export function isExplicitlyStopped(labels: Labels): boolean {
  return /^(1|t|T|TRUE|true|True)$/.test(labels[LABELS.explicitlyStopped] ?? '');
}

/** How often it was started again; 0 for a label that is no number. */
export function restartCount(labels: Labels): number {
  const text = labels[LABELS.count] ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/**
 * Whether a container that does not run is to be started.
 *
 * @param exitStatus of its task; 0 when there is none, as containerd has it
 * @throws Error for a policy or count that cannot be read
 */
export function isToStart(labels: Labels, exitStatus: number): boolean {
  if (isExplicitlyStopped(labels)) return false;
  const { name, most } = parsePolicy(labels[LABELS.policy] ?? '');
  if (name === 'no') return false;
  if (name !== 'on-failure') return true;
  const count = labels[LABELS.count] ?? '';
  if (!/^\d*$/.test(count)) throw new Error(`${LABELS.count} is no number but ${JSON.stringify(count)}`);
  return exitStatus !== 0 && (most === 0 || restartCount(labels) < most);
}

/** Where the output of a started container goes, as a URI; empty for nowhere. */
export function logUri(labels: Labels): string {
  if (labels[LABELS.logUri]) return labels[LABELS.logUri]!;
  const path = labels[LABELS.logPath];
  return path ? `file://${path.split('/').map(encodeURIComponent).join('/')}` : '';
}
