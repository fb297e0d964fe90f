/** Moments and spans of time, as docker takes and shows them. */
import { durationOf, momentOf } from '../../client/moment.js';
import { UsageError } from '../errors.js';

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];

/** How long that is, in words: `5 seconds`, `About an hour`. */
export function inWords(ms: number): string {
  const seconds = Math.floor(ms / SECOND);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(ms / MINUTE);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(ms / HOUR);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** A Go duration such as `1h30m` or `1.5s`, in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const nanoseconds = durationOf(text);
  return nanoseconds === undefined ? undefined : nanoseconds / 1e6;
}

/**
 * A moment in milliseconds since the epoch, as {@link momentOf} reads it.
 *
 * @param what named in the error, e.g. `--since`
 */
export function parseMoment(text: string, what: string, now = Date.now()): number {
  const moment = momentOf(text, now);
  if (moment !== undefined) return Number(moment) / 1e6;
  throw new UsageError(
    `${what} ${JSON.stringify(text)} is no time: give one such as 2024-05-01T10:00:00Z, seconds since 1970, or how long ago, such as 10m`,
  );
}

/** Of flags by their names. @throws UsageError for one that is none, before anything is done */
export function checkMoments(flags: Readonly<Record<string, string | undefined>>): void {
  for (const [name, text] of Object.entries(flags)) if (text !== undefined) parseMoment(text, `--${name}`);
}

/** A span for reading at a glance: `0.35 ms`, `12.3 ms`, `2.05 s`. */
export function span(ms: number): string {
  if (ms >= 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms >= SECOND) return `${(ms / SECOND).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

/** As Go prints a time in UTC, in whole nanoseconds as far as they are known: `2024-05-01T10:00:00.123456000Z`. */
export function rfc3339Nano(ms: number): string {
  const whole = Math.floor(ms);
  const micros = Math.floor((ms - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}000Z`;
}
