/** Moments and spans of time, as docker takes and shows them. */
import { UsageError } from '../errors.js';

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];
const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: SECOND, m: MINUTE, h: HOUR };

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
  if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    ms += Number(digits) * UNITS[unit!]!;
  return ms;
}

/**
 * A moment in milliseconds since the epoch: a time as RFC 3339 has it, or a part of one from its date on, seconds since the epoch, or how
 * long ago as a duration.
 *
 * @param what named in the error, e.g. `--since`
 */
export function parseMoment(text: string, what: string, now = Date.now()): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * SECOND;
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const ms = Date.parse(text.length === 10 ? `${text}T00:00:00` : text);
    if (!Number.isNaN(ms)) return ms;
  }
  throw new UsageError(
    `${what} ${JSON.stringify(text)} is no time: give one such as 2024-05-01T10:00:00Z, seconds since 1970, or how long ago, such as 10m`,
  );
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
