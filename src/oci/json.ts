/**
 * JSON whose integers stay as they are. A runtime spec has numbers up to 2^64-1, "no limit" above all (rlimits, memory), which JSON.parse
 * rounds to what the runtime then refuses.
 */

/** The largest signed and unsigned number of 64 bits, by what they are as a double: a caller who writes one as a number means it. */
const LARGEST = new Map([
  [2 ** 63, '9223372036854775807'],
  [2 ** 64, '18446744073709551615'],
]);

const STRING_OR_NUMBER = /"([^"\\]*(?:\\.[^"\\]*)*)"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * As JSON.parse, but an integer that a number cannot hold exactly (beyond ±(2^53-1)) is a bigint.
 *
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  const parsed: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return parsed;
  // Every string is marked, so that none can be taken for a number.
  const marked = text.replace(STRING_OR_NUMBER, (token, string: string | undefined) => {
    if (string !== undefined) return `"s${string}"`;
    return /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"n${token}"` : token;
  });
  return JSON.parse(marked, (_key, value: unknown) => {
    if (typeof value === 'string') return value.startsWith('n') ? BigInt(value.slice(1)) : value.slice(1);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.slice(1), inner]));
  });
}

/**
 * As JSON.stringify, but a bigint is a number, and an integer of up to 64 bits is written with all its digits. A number of 2^64 is written as 2^64-1,
 * and one of 2^63 as 2^63-1: nothing else can be meant by them, as no field holds more.
 *
 * @param indent how many blanks for each level; 0 for none
 */
export function stringifyExact(value: unknown, indent = 0): string {
  return plainly(value, indent) ?? written(value, indent === 0 ? '' : '\n', ' '.repeat(indent)) ?? 'null';
}

/** What JSON.stringify gives, and for a third of the time, where nothing in it can be one of those; undefined else. */
function plainly(value: unknown, indent: number): string | undefined {
  // Some programs have it that a bigint is written as a text.
  if ('toJSON' in BigInt.prototype) return undefined;
  let text: string | undefined;
  try {
    text = JSON.stringify(value, undefined, indent);
  } catch (error) {
    // There is a bigint, or it has no end, which the other finds, too.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
  return text === undefined || /\d{16}/.test(text) ? undefined : text;
}

function written(value: unknown, line: string, indent: string): string | undefined {
  if (typeof value === 'bigint') return value.toString();
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    !Number.isSafeInteger(value) &&
    Math.abs(value) <= 2 ** 64
  )
    return LARGEST.get(value) ?? BigInt(value).toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return written((value.toJSON as () => unknown)(), line, indent);
  const inner = line + (line === '' ? '' : indent);
  const [open, close, parts] = Array.isArray(value)
    ? ['[', ']', value.map((one) => written(one, inner, indent) ?? 'null')]
    : [
        '{',
        '}',
        Object.entries(value).flatMap(([key, one]) => {
          const text = written(one, inner, indent);
          return text === undefined ? [] : [`${JSON.stringify(key)}:${line === '' ? '' : ' '}${text}`];
        }),
      ];
  return parts.length === 0 ? open + close : `${open}${inner}${parts.join(`,${inner}`)}${line}${close}`;
}
