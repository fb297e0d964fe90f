/** Sizes, as docker takes and shows them. */
import { UsageError } from '../errors.js';

const UNITS = ['b', 'k', 'm', 'g', 't', 'p'];

/**
 * `512m` in bytes: a number, with b, k, m, g, t or p for powers of 1024, and `b` or `ib` behind that if one likes.
 *
 * @param what named in the error, e.g. `--memory`
 */
export function parseSize(text: string, what: string): number {
  const [, digits, unit = 'b'] = /^(\d+(?:\.\d+)?) ?(?:([bkmgtp])(?:i?b)?)?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
  if (digits === undefined || !Number.isSafeInteger(bytes))
    throw new UsageError(
      `${what} ${JSON.stringify(text)} is no size: give a number with b, k, m or g behind it, such as 512m`,
    );
  return bytes;
}

/** Powers of 1024 with four figures, as docker stats shows them: `1.953MiB`. */
export function binarySize(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 4);
}

/** Powers of 1000 with three figures, as docker images shows them: `7.05MB`. */
export function decimalSize(bytes: number): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'], 3);
}

function scaled(bytes: number, base: number, units: readonly string[], figures: number): string {
  let [value, unit] = [bytes, 0];
  for (; value >= base && unit < units.length - 1; unit++) value /= base;
  return `${Number(value.toPrecision(Math.max(figures, String(Math.floor(value)).length)))}${units[unit]!}`;
}
