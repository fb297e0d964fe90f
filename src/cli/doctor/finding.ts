/** What doctor says of one thing. */
import type { Root } from '../enable/root.js';

/** ok; missing: something works less; wrong: something is to be done about it. */
export type Verdict = 'ok' | 'missing' | 'wrong';

export interface Finding {
  readonly what: string;
  readonly verdict: Verdict;
  /** What was seen. */
  readonly found: string;
  /** What works less, or what to do. */
  readonly advice?: string;
}

/** Where doctor looks. */
export interface Patient {
  readonly root: Root;
  /** As uname tells it, such as 6.1.0-18-amd64. */
  readonly release: string;
  /** Whose eyes these are. */
  readonly uid: number;
  /** The directory of hawser's own code. */
  readonly library: string;
  /** A socket that the user named, who so expects a daemon there. */
  readonly address: string | undefined;
}

export const ok = (what: string, found: string): Finding => ({ what, verdict: 'ok', found });
export const missing = (what: string, found: string, advice: string): Finding => ({
  what,
  verdict: 'missing',
  found,
  advice,
});
export const wrong = (what: string, found: string, advice: string): Finding => ({
  what,
  verdict: 'wrong',
  found,
  advice,
});

/** Whether a version is at least another: by its first two numbers. */
export function isFrom([major, minor]: readonly [number, number], version: { major: number; minor: number }): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
