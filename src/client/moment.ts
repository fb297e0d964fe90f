/** Moments as docker takes them, in nanoseconds since the epoch. */
import { DeadlineTimer, now } from '../ttrpc/deadline.js';
import { Code } from '../ttrpc/status.js';
import { InvalidArgumentError } from './errors.js';

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const NANOSECONDS = 1_000_000_000n;
/** A date, and more of the time behind it or less; without a zone it is this machine's. */
const TIME = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** A Go duration such as `1h30m` or `1.5s`, in nanoseconds; undefined when it is none. */
export function durationOf(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    sum += Number(digits) * UNITS[unit!]!;
  return sum;
}

/**
 * How long ago as a duration (with a sign behind or before now), seconds since the epoch with a fraction, or a time as RFC 3339 has it, whole or from its
 * date on as far as it goes (docker's GetTimestamp, api/types/time). Undefined when it is none of these.
 *
 * @param from what durations are counted from, in milliseconds since the epoch
 */
export function momentOf(text: string, from = Date.now()): bigint | undefined {
  const [, sign = '', span = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const ago = durationOf(span);
  if (ago !== undefined) return BigInt(from) * 1_000_000n - BigInt(Math.round(sign === '-' ? -ago : ago));
  const [, seconds, fraction = ''] = /^(\d{1,12})(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds !== undefined) return BigInt(seconds) * NANOSECONDS + nanoseconds(fraction);
  return timeOf(text);
}

function timeOf(text: string): bigint | undefined {
  const [matched, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] =
    TIME.exec(text) ?? [];
  if (matched === undefined) return undefined;
  const date = `${year}-${month}-${day}`;
  // What a calendar has not, Date takes for a later day.
  if (new Date(`${date}T00:00:00Z`).toJSON()?.slice(0, 10) !== date) return undefined;
  const ms = Date.parse(`${date}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + nanoseconds(fraction);
}

function nanoseconds(fraction: string): bigint {
  return BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/** What a caller gives. @throws InvalidArgumentError that names the option */
export function givenMoment(name: string, given: Date | string): bigint {
  const moment = momentOf(typeof given === 'string' ? given : given.toISOString());
  if (moment !== undefined) return moment;
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `${name}: ${JSON.stringify(given)} is no time: give one such as 2024-05-01T10:00:00Z, seconds since 1970, or how long ago, such as 10m: invalid argument`,
  );
}

/** As the entries of logs have it, in UTC: `2024-05-01T10:00:00.123456789Z`. Such texts are in the order of their times. */
export function rfc3339(moment: bigint): string {
  const rest = moment % NANOSECONDS;
  const date = new Date(Number((moment - rest) / 1_000_000n));
  return `${date.toISOString().slice(0, 19)}.${String(rest).padStart(9, '0')}Z`;
}

/** Calls back when it is so late by this machine's clock, in milliseconds since the epoch, unless cleared; soon when it is already. */
export function atTime(ms: number, then: () => void): DeadlineTimer {
  return new DeadlineTimer(now() + ms - Date.now(), then);
}
