/**
 * Runtime options as TOML: the section of containerd's configuration that kubelet's plugin passes on as it is, when a
 * runtime has another name than runc's. A flat list of `Key = value`; what is in tables is not for us.
 */
import type { containerd } from '../../api/gen/api.js';

type Options = containerd.runc.v1.Options.$Properties;

/** Names as Go's TOML library takes them: in any case, with or without underscores. */
const kinds: Record<string, [keyof Options, 'boolean' | 'number' | 'string']> = {
  nopivotroot: ['noPivotRoot', 'boolean'],
  nonewkeyring: ['noNewKeyring', 'boolean'],
  shimcgroup: ['shimCgroup', 'string'],
  iouid: ['ioUid', 'number'],
  iogid: ['ioGid', 'number'],
  binaryname: ['binaryName', 'string'],
  root: ['root', 'string'],
  criupath: ['criuPath', 'string'],
  systemdcgroup: ['systemdCgroup', 'boolean'],
  criuimagepath: ['criuImagePath', 'string'],
  criuworkpath: ['criuWorkPath', 'string'],
};

/** @throws when a line is no `key = value`, or the value of an option that we know is of another kind */
export function tomlOptions(text: string): Options {
  const options: Record<string, unknown> = {};
  for (const [n, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) break;
    const match = /^(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*=\s*(\S.*)$/.exec(line);
    if (!match) throw new Error(`line ${n + 1} is not of the form key = value: ${line}`);
    const name = match[1] ?? match[2] ?? match[3]!;
    const [key, kind] = kinds[name.toLowerCase().replaceAll('_', '')] ?? [];
    if (key === undefined) continue;
    const value = parseValue(match[4]!);
    if (typeof value !== kind) throw new Error(`line ${n + 1}: ${name} must be a ${kind}: ${line}`);
    options[key] = value;
  }
  return options;
}

/** A string, a boolean or a whole number, with a comment behind it or not; undefined for anything else. */
function parseValue(text: string): string | boolean | number | undefined {
  const [, literal, basic, word] = /^(?:'([^']*)'|("(?:[^"\\]|\\.)*")|([\w+]+))\s*(?:#.*)?$/.exec(text) ?? [];
  if (literal !== undefined) return literal;
  // A basic string has the escapes of JSON, and some that no path needs.
  if (basic !== undefined) return JSON.parse(basic) as string;
  if (word === 'true' || word === 'false') return word === 'true';
  return word !== undefined && /^\d[\d_]*$/.test(word) ? Number(word.replaceAll('_', '')) : undefined;
}
