/** Changes a JSON file that people keep: as little of its text as can be. */
import { isDeepStrictEqual } from 'node:util';
import { parseExact, stringifyExact } from '../../oci/json.js';
import type { Table } from './cri-config.js';

/**
 * A file's text with one member of its object put in, or taken out again.
 *
 * @param text the file as it is; undefined for none
 * @param wanted what it shall hold
 * @param key the member that makes the difference
 */
export function jsonText(text: string | undefined, wanted: Table, key: string): string {
  const indent = /^([ \t]+)"/m.exec(text ?? '')?.[1] ?? '  ';
  const whole = indented(wanted, indent);
  if (text === undefined) return `${whole}\n`;
  const old = (parseExact(text.trim() || '{}') as Table)[key];
  const member = (value: unknown): string => `,${indented({ [key]: value }, indent).slice(1, -2)}`;
  const end = /\s*\}\s*$/.exec(text)?.index ?? 0;
  const changed =
    old === undefined
      ? text.slice(0, end) + member(wanted[key]) + text.slice(end)
      : text.replace(member(old), wanted[key] === undefined ? '' : member(wanted[key]));
  const kept = [text, changed].find((one) => isDeepStrictEqual(parsed(one), wanted));
  return kept ?? (text.endsWith('\n') ? `${whole}\n` : whole);
}

function indented(value: unknown, indent: string): string {
  return stringifyExact(value, 1).replace(/^ +/gm, (blanks) => indent.repeat(blanks.length));
}

function parsed(text: string): unknown {
  try {
    return parseExact(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
